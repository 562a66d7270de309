// The page of a sandboxed frame: its data and its theme.  frame.py makes the page around this module.

const PAPER = { light: '#fff', dark: '#16181d' }; // opaque once the view is drawn: the static image is behind the frame
const MUTED = { light: '#5c6370', dark: '#a3a9b3' };

/** Return the values for the front end and the data, which the loader has unpacked. */
function frameData(raw = globalThis.tkData) {
  const length = new DataView(raw).getUint32(0, true);
  return [JSON.parse(new TextDecoder().decode(new Uint8Array(raw, 4, length))), raw.slice(4 + length)];
}

/** Follow the theme of the page around the frame, which makes the frame higher if it is dark: see frame.py. */
function followPage(height, act = () => {}) {
  const root = document.documentElement, { style } = document.body;
  const follow = () => {
    const theme = innerHeight > height + 2 ? 'dark' : 'light';
    if (theme === root.dataset.theme) return;
    root.dataset.theme = theme;
    [style.background, style.color, style.colorScheme] = [PAPER[theme], MUTED[theme], theme];
    act(theme);
  };
  Object.assign(style, { margin: '0', overflow: 'auto' });
  addEventListener('resize', follow);
  follow();
}
