
// Explore in a sandboxed frame: the selection of traces, without a kernel.  This text follows tracekit.js in the same
// module.  The lists and the texts of the code come from Python, so that the code is the one that Python would make.

const MOST_ROWS = 100; // traces in the list
const NONE = -1e299; // above a missing duration or start

class Explore {
  constructor(host, state, data) {
    const table = decode(new DataView(data));
    Object.assign(this, { state, meta: table.meta, strings: table.strings, C: table, traces: table.total.length });
    style(host);
    this.root = h('div', 'tkw');
    this.root.style.minHeight = `${state.controls}px`;
    this.bar = h('div', 'tkw-bar');
    this.controls = Object.fromEntries(table.meta.controls.map(({ name, label: words, options, at }) => [name, this.control(words, options, at)]));
    this.count = set(h('p', 'tkw-dim'), { role: 'status' });
    this.list = set(h('select', 'tkw-list'), { size: 8, 'aria-label': 'slowest traces' });
    this.code = h('pre', 'tkw-code');
    this.copied = button('Copy code', () => this.copy(), 'Copy the code of this selection');
    this.place = h('div');
    this.values = this.control('value', [], 0);
    this.offer(this.attribute.at_value);
    Object.assign(this.list.style, { width: '100%', font: 'inherit', color: 'inherit', background: 'inherit', border: '0' });
    Object.assign(this.code.style, { margin: '0', padding: '6px 8px', flex: '1', overflow: 'auto', userSelect: 'text' });
    Object.assign(this.count.style, { margin: '0', padding: '6px 8px' });
    const row = h('div', 'tkw-bar');
    row.append(this.code, this.copied);
    reach(this.code);
    this.root.append(this.bar, this.count, this.list, row);
    host.append(this.root, this.place);
    this.list.addEventListener('change', () => this.open(Number(this.list.value)));
    this.choose();
  }

  /** The control of the attribute key, with the values of each key. */
  get attribute() { return this.meta.controls.find(control => control.name === 'attribute'); }

  /** List the values of the selected key. */
  offer(at) {
    const options = this.attribute.choices[this.controls.attribute.selectedIndex];
    this.values.replaceChildren(...options.map(([text], k) => set(h('option', '', text), { value: k })));
    this.values.selectedIndex = at;
    this.values.disabled = options.length < 2;
  }

  /** Return the selected value of the selected key, as `picked` does. */
  pickedValue() { return this.attribute.choices[this.controls.attribute.selectedIndex][this.values.selectedIndex]; }

  control(words, options, at) {
    const box = h('label', 'tkw-dim', `${words} `), control = set(h('select'), { 'aria-label': words });
    options.forEach(([text], k) => control.append(set(h('option', '', text), { value: k })));
    Object.assign(control.style, { maxWidth: '240px' });
    control.selectedIndex = at;
    control.addEventListener('change', () => {
      if (control === this.controls.attribute) this.offer(0);
      this.choose();
    });
    box.append(control);
    this.bar.append(box);
    return control;
  }

  /** Return the selected entry of a control: [label, value, ...]; its value is null where nothing is asked. */
  picked(name) {
    return this.meta.controls.find(control => control.name === name).options[this.controls[name].selectedIndex];
  }

  /** Select again: a trace with a span that matches all conditions, and a start within the period. */
  choose() {
    const { C } = this, value = name => this.picked(name)[1];
    const [service, operation, error, low, high, from, to] = ['service', 'operation', 'error', 'low', 'high', 'from', 'to'].map(value);
    const asked = this.pickedValue()[1], own = asked === null ? null : C[`attribute${this.controls.attribute.selectedIndex}`];
    const found = new Uint8Array(this.traces);
    for (let i = 0; i < C.of.length; i++) {
      if ((asked === null || own[i] === asked + 1) && (service === null || C.svc[i] === service) && (operation === null || C.op[i] === operation) && (error === null || (error < 0 ? C.bad[i] : C.err[i] === error))
        && (low === null || C.dur[i] >= low) && (high === null || (C.dur[i] < high && C.dur[i] > NONE))) found[C.of[i]] = 1;
    }
    this.found = [];
    for (let t = 0; t < this.traces; t++) if (found[t] && (from === null || C.begin[t] >= from) && (to === null || (C.begin[t] < to && C.begin[t] > NONE))) this.found.push(t);
    this.opened = -1;
    this.view?.destroy();
    this.show();
  }

  /** Show the number, the list and the code of the selection; traces are in the order of the list. */
  show() {
    const { C, strings, found } = this, shown = found.slice(0, MOST_ROWS);
    this.count.textContent = `${count(found.length)} of ${many(this.traces, 'trace')}${shown.length ? `; slowest ${shown.length} listed, select one to open it` : ''}. ${this.meta.note}`;
    this.list.replaceChildren(...shown.map(t => set(h('option', '', [C.total[t] < 0 ? 'no duration' : duration(C.total[t]), strings[C.root[t]], many(C.spans[t], 'span'), C.errors[t] ? many(C.errors[t], 'error') : ''].filter(Boolean).join('  ·  ')), { value: t })));
    this.write();
  }

  /** Write the code of the selection and of the opened trace. */
  write() {
    const text = name => this.picked(name)[2] ?? '', where = [...['service', 'operation', 'error'].map(text), this.pickedValue()[2], text('low'), text('high')].filter(Boolean).join(' and ');
    const { from, to } = { from: this.picked('from'), to: this.picked('to') }, isTimed = from[1] !== null || to[1] !== null;
    const lines = [`chosen = traces${isTimed ? `.between("${from[2]}", "${to[2]}")` : ''}${where && `.where(${JSON.stringify(where)})`}`];
    if (this.opened >= 0) lines.push(`tk.waterfall(chosen, "${this.meta.ids[this.opened]}")`);
    this.code.textContent = lines.join('\n');
  }

  open(t) {
    const at = this.meta.embedded.indexOf(t);
    this.opened = t;
    this.view?.destroy();
    this.place.replaceChildren();
    this.view = at < 0 ? null : new Waterfall(this.place, decode(new DataView(this.C.waterfalls.slice(...this.meta.parts[at]).buffer)), { height: this.state.height });
    if (at < 0) this.place.append(h('p', 'tkw-about', 'This trace is not embedded: run the code, or use live().'));
    this.write();
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.code.textContent);
      this.copied.textContent = 'Copied';
    } catch { // no clipboard API in this frame
      getSelection().selectAllChildren(this.code);
    }
  }
}

function bootExplore() {
  const [state, data] = frameData(), host = h('div');
  document.body.append(host);
  followPage(state.frame, theme => host.firstChild?.classList.toggle('tk-dark', theme === 'dark'));
  const { root } = new Explore(host, state, data);
  root.classList.toggle('tk-dark', isDark());
  document.documentElement.dataset.tkReady = '1';
}

bootExplore();
