
// A widget in a sandboxed frame, without a kernel.  This text follows tracekit.js in the same module.

/** Return the Python assignment that makes a selection; empty if nothing is selected. */
function assignment(name, value, spanId) {
  const id = name === 'row' && value >= 0 ? spanId(value) : '';
  const isChoice = typeof value === 'string' ? value : Number.isInteger(value) ? value >= 0 : value.length && value.every(Number.isInteger);
  return id ? `view.selected = "${id}"` : isChoice ? `view.${name} = ${JSON.stringify(value)}` : '';
}

/** Return what anywidget's model would be: values that only this frame knows, and how to set them in Python. */
function modelOf(state, note) {
  const nothing = () => {};
  let table = null;
  const spanId = row => idOf(table ??= decode(state.data), row);
  const set = (name, value) => {
    state[name] = value;
    const code = assignment(name, value, spanId);
    note.textContent = code && `In Python: ${code}; in view.live(), selections are known there.`;
  };
  return { get: name => state[name], set, on: nothing, off: nothing, save_changes: nothing };
}

/** Draw the view; below it stands how to select in Python what is selected here. */
function bootView() {
  const [state, data] = frameData(), host = h('div'), note = set(h('p', 'tkw-about'), { role: 'status' });
  state[state.trait] = state.trait === 'data' ? new DataView(data) : new TextDecoder().decode(data);
  document.body.append(host);
  followPage(state.frame);
  render({ el: host, model: modelOf(state, note) });
  host.append(note);
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark('drawn'))); // sizes are known in the first frame
  document.documentElement.dataset.tkReady = '1';
}

bootView();
