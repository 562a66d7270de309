// The heat map and the flame view of a notebook: canvas for the marks, words for everything that has to be read.
//
// A plain module for anywidget, without imports: `render` draws the model's payload.  Text reaches the page through
// textContent and fillText only; style through the sheet below and CSSOM.
//
//   1 style   2 elements   3 numbers   4 pane (theme, size, tooltip)   5 heat map   6 flame   7 notebook

// ------------------------------------------------------------------------------------------------ 1 style

const LIGHT = ['#0094e7', '#c48700', '#00a679', '#7a4964', '#2d78a3', '#753400', '#908a3c', '#5b32a8', '#4e382b', '#8695a6'];
const DARK = ['#0094e7', '#ffb000', '#00cd95', '#e077b2', '#7ed1ff', '#aa4b00', '#c0b851', '#79579f', '#8c644d', '#606a77'];
const HEAT = { light: ['#dcebfa', '#b3d4f5', '#7fb5ea', '#4a90d9', '#1f68b8', '#0b3f7d'], dark: ['#16324f', '#1d4b7c', '#2a6db0', '#4a93dc', '#86bdf2', '#d6e9fc'] };

const CSS = `
.tkc{--tk-own-bg:#fff;--tk-own-bg2:#f0f1f3;--tk-own-fg:#1c1e21;--tk-own-fg2:#5c6370;--tk-own-line:#dcdfe3;--tk-own-acc:#1976d2;--tk-own-err:#d32f2f;
--tk-bg:var(--tk-page-bg,var(--jp-layout-color0,var(--vscode-editor-background,var(--tk-own-bg))));
--tk-bg2:var(--tk-page-bg2,var(--jp-layout-color2,var(--vscode-editorWidget-background,var(--tk-own-bg2))));
--tk-fg:var(--tk-page-fg,var(--jp-ui-font-color1,var(--vscode-editor-foreground,var(--tk-own-fg))));
--tk-fg2:var(--tk-page-fg2,var(--jp-ui-font-color2,var(--vscode-descriptionForeground,var(--tk-own-fg2))));
--tk-line:var(--tk-page-line,var(--jp-border-color2,var(--vscode-panel-border,var(--tk-own-line))));
--tk-acc:var(--tk-page-acc,var(--jp-brand-color1,var(--vscode-focusBorder,var(--tk-own-acc))));
--tk-err:var(--tk-page-err,var(--jp-error-color1,var(--tk-own-err)));--tk-hit:#ffd54a;--tk-hit-fg:#000;
font:12px/1.35 var(--tk-page-font,var(--jp-ui-font-family,system-ui,-apple-system,"Segoe UI",sans-serif));color:var(--tk-fg);background:var(--tk-bg);
border:1px solid var(--tk-line);border-radius:6px;display:flex;flex-direction:column;overflow:hidden;position:relative;box-sizing:border-box;width:100%;text-align:left}
.tkc.tk-dark{--tk-own-bg:#16181d;--tk-own-bg2:#23262d;--tk-own-fg:#e4e6ea;--tk-own-fg2:#a3a9b3;--tk-own-line:#3a3f48;--tk-own-acc:#64b5f6;--tk-own-err:#ff6b6b;--tk-hit:#b58900}
.tkc *{box-sizing:border-box}
.tkc-bar{display:flex;gap:6px 8px;align-items:center;padding:5px 8px;border-bottom:1px solid var(--tk-line);flex-wrap:wrap;flex:none}
.tkc-bar b{font-weight:600}.tkc-bar input,.tkc-bar button{font:inherit;color:inherit;background:var(--tk-bg);border:1px solid var(--tk-line);border-radius:4px;padding:2px 8px;margin:0}
.tkc-bar input{width:190px}.tkc-bar button{cursor:pointer}.tkc-bar button:hover{background:var(--tk-bg2)}.tkc-bar button:disabled{opacity:.45;cursor:default}
.tkc :focus-visible{outline:2px solid var(--tk-acc);outline-offset:-2px}
.tkc-gap{flex:1}.tkc-dim{color:var(--tk-fg2);font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tkc-scroll{flex:1;min-height:0;overflow-y:auto;overflow-x:hidden;position:relative}
.tkc-scroll canvas{display:block;position:sticky;top:0;touch-action:pan-y}
.tkc-say{border-top:1px solid var(--tk-line);padding:5px 10px;flex:none;min-height:44px;max-height:72px;overflow:auto;color:var(--tk-fg2);overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.tkc-say b{color:var(--tk-fg);font-weight:600;unicode-bidi:isolate}
.tkc-tip{position:absolute;z-index:3;pointer-events:none;max-width:min(420px,90%);background:var(--tk-bg);color:var(--tk-fg);border:1px solid var(--tk-line);border-radius:4px;padding:4px 8px;box-shadow:0 2px 8px #0003;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.tkc-tip b{display:block;font-weight:600;unicode-bidi:isolate}
.tkc-key{display:inline-block;width:9px;height:9px;border-radius:2px;margin:0 4px 0 8px}
`;

const styled = new WeakSet();

/** Put the style sheet where `el` lives: its document, and its shadow root once it has one. */
function style(el) {
  const put = place => {
    if (!place || styled.has(place)) return;
    styled.add(place);
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(CSS);
      place.adoptedStyleSheets = [...place.adoptedStyleSheets, sheet];
    } catch {
      const sheet = document.createElement('style'); // a front end without constructed sheets
      sheet.textContent = CSS;
      (place.head || place).append(sheet);
    }
  };
  put(el.ownerDocument);
  queueMicrotask(() => {
    const place = el.getRootNode();
    if (place !== el.ownerDocument && place.adoptedStyleSheets) put(place);
  });
}

// ------------------------------------------------------------------------------------------------ 2 elements

function h(tag, cls = '', words = null) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (words != null) e.textContent = words;
  return e;
}

function set(e, attributes) {
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  return e;
}

// ------------------------------------------------------------------------------------------------ 3 numbers

const UNITS = [[1, 'ns'], [1e3, 'µs'], [1e6, 'ms'], [1e9, 's']];

/** Three significant digits and a unit, as `text.duration` writes them. */
export function duration(ns) {
  const size = Math.abs(ns), sign = ns < 0 ? '-' : '';
  let step = UNITS.filter(([divisor]) => divisor > 1 && size >= divisor).length;
  if (step < 3 && Number(digits(size / UNITS[step][0])) >= 1000) step++;
  if (step === 0 && Number.isInteger(size)) return `${sign}${size} ns`;
  return `${sign}${digits(size / UNITS[step][0])} ${UNITS[step][1]}`;
}

function digits(value) {
  for (const [places, below] of [[2, 10], [1, 100]]) {
    const short = value.toFixed(places);
    if (Number(short) < below) return short;
  }
  return value.toFixed(0);
}

const tickLabel = ns => duration(ns).replace(/(\.\d*?)0+(?= )/, '$1').replace(/\.(?= )/, '');
const percent = share => (share === 0 ? '0 %' : share < 0.0001 ? '<0.01 %' : `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`);
const count = n => Math.round(n).toLocaleString('en-US');
const clip = (value, low, high) => Math.min(high, Math.max(low, value));

// ------------------------------------------------------------------------------------------------ 4 pane

function isDark() {
  const body = document.body, page = document.documentElement;
  if (body.dataset.jpThemeLight != null) return body.dataset.jpThemeLight === 'false';
  if (/vscode-(dark|high-contrast)(?!-light)/.test(body.className)) return true;
  if (/vscode-(light|high-contrast-light)/.test(body.className)) return false;
  const named = page.dataset.theme || page.getAttribute('theme');
  if (named) return named === 'dark';
  return matchMedia('(prefers-color-scheme: dark)').matches;
}

function inkOn(colour) {
  const part = k => { const c = parseInt(colour.slice(k, k + 2), 16) / 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5) > 0.18 ? '#000' : '#fff';
}

/** A frame with a toolbar, a canvas that scrolls, a line that says what is chosen, and a tooltip. */
class Pane {
  constructor(host, height, name) {
    this.stop = new AbortController();
    this.root = set(h('div', 'tkc'), { 'data-lm-suppress-shortcuts': 'true' });
    this.root.style.height = `${height}px`;
    style(host);
    this.bar = set(h('div', 'tkc-bar'), { role: 'toolbar', 'aria-label': name });
    this.scroll = h('div', 'tkc-scroll');
    this.tall = h('div');
    this.canvas = set(h('canvas'), { tabindex: 0, role: 'application', 'aria-label': name });
    this.say = set(h('div', 'tkc-say'), { role: 'status' });
    this.tip = h('div', 'tkc-tip');
    this.tip.hidden = true;
    this.tall.append(this.canvas);
    this.scroll.append(this.tall);
    this.root.append(this.bar, this.scroll, this.say, this.tip);
    host.append(this.root);
    this.draw = this.oncePerFrame(() => this.paint());
    this.on(this.root, 'keydown', e => e.stopPropagation()); // JupyterLab's shortcuts
    this.watch();
  }

  on(target, type, act, options = {}) { target.addEventListener(type, act, { signal: this.stop.signal, ...options }); }

  oncePerFrame(act) {
    let waiting = false;
    return () => {
      if (waiting || this.stop.signal.aborted) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; if (!this.stop.signal.aborted) act(); });
    };
  }

  /** Follow size and theme: `render` runs before the host is in the page, so both come later. */
  watch() {
    const seen = () => { this.dark = isDark(); this.root.classList.toggle('tk-dark', this.dark); this.draw(); };
    const size = new ResizeObserver(() => seen());
    size.observe(this.scroll);
    const theme = new MutationObserver(seen), filter = { attributes: true, attributeFilter: ['data-jp-theme-light', 'data-jp-theme-name', 'class', 'data-theme', 'theme'] };
    theme.observe(document.body, filter);
    theme.observe(document.documentElement, filter);
    this.on(matchMedia('(prefers-color-scheme: dark)'), 'change', seen);
    this.stop.signal.addEventListener('abort', () => { size.disconnect(); theme.disconnect(); });
  }

  /** Begin a frame: a canvas as large as what is seen, in device pixels; false while there is no room. */
  begin() {
    const w = this.scroll.clientWidth, t = this.scroll.clientHeight, scale = devicePixelRatio || 1;
    if (!w || !t) return false;
    if (this.w !== w || this.t !== t || this.scale !== scale) {
      Object.assign(this, { w, t, scale });
      Object.assign(this.canvas, { width: Math.round(w * scale), height: Math.round(t * scale) });
      Object.assign(this.canvas.style, { width: `${w}px`, height: `${t}px` });
    }
    const now = getComputedStyle(this.root), colour = name => now.getPropertyValue(name).trim();
    this.paints = { bg: colour('--tk-bg'), fg: colour('--tk-fg'), fg2: colour('--tk-fg2'), line: colour('--tk-line'), acc: colour('--tk-acc'), err: colour('--tk-err'), hit: colour('--tk-hit') };
    this.font = now.fontFamily;
    this.c = this.canvas.getContext('2d');
    this.c.setTransform(scale, 0, 0, scale, 0, 0);
    this.c.clearRect(0, 0, w, t);
    return true;
  }

  words(text, x, y, { colour = this.paints.fg2, align = 'left', size = 11 } = {}) {
    Object.assign(this.c, { fillStyle: colour, textAlign: align, textBaseline: 'middle', font: `${size}px ${this.font}` });
    this.c.fillText(text, x, y);
  }

  /** Show a tooltip beside the pointer: a name and a line each. */
  hint(event, name, lines) {
    this.tip.replaceChildren(h('b', '', name), ...lines.map(line => h('div', '', line)));
    this.tip.hidden = false;
    const box = this.root.getBoundingClientRect(), { offsetWidth: w, offsetHeight: t } = this.tip;
    const x = event.clientX - box.left + 14, y = event.clientY - box.top + 14;
    this.tip.style.left = `${clip(x, 4, Math.max(4, box.width - w - 6))}px`;
    this.tip.style.top = `${y + t > box.height ? Math.max(4, y - t - 24) : y}px`;
  }

  told(name, words) { this.say.replaceChildren(...(name ? [h('b', '', name), ` ${words}`] : [words])); }

  button(words, act, title) {
    const e = h('button', '', words);
    e.type = 'button';
    if (title) e.title = title;
    this.on(e, 'click', act);
    this.bar.append(e);
    return e;
  }

  destroy() { this.stop.abort(); this.root.remove(); }
}

// ------------------------------------------------------------------------------------------------ 5 heat map

const LEFT = 64, TOP = 20, FLOOR = 30;

/** map = {title, times: [label], marks: [{at, name}], edges: [ns], ticks: [{at, words}], clock: [{at, words}], col, row, weight: [], traces: []} */
export class Heat extends Pane {
  constructor(host, map, { height = 420, onBrush = null } = {}) {
    super(host, height, 'Durations over time');
    this.map = map;
    this.onBrush = onBrush;
    this.brush = null;
    this.bar.append(h('b', '', map.title), h('span', 'tkc-dim', 'Drag a rectangle: its requests become a filter.'), h('span', 'tkc-gap'));
    this.clear = this.button('Clear', () => this.choose(null), 'Escape');
    this.top = Math.max(1, ...map.weight);
    this.at = new Map(map.col.map((c, k) => [c * map.rows + map.row[k], k]));
    this.listen();
    this.choose(null, { quiet: true });
  }

  get box() { return { x: LEFT, y: TOP, w: this.w - LEFT - 12, t: this.t - TOP - FLOOR }; }

  paint() {
    if (!this.begin()) return;
    const { map, c, box } = this, steps = HEAT[this.dark ? 'dark' : 'light'];
    const wide = box.w / map.cols, tall = box.t / map.rows;
    for (const { at, words } of map.ticks) {
      const y = box.y + box.t * (1 - at / map.rows);
      c.fillStyle = this.paints.line;
      c.fillRect(box.x, y, box.w, 1);
      this.words(words, box.x - 6, y, { align: 'right' });
    }
    map.col.forEach((col, k) => {
      const level = Math.min(steps.length - 1, Math.floor(Math.sqrt(map.weight[k] / this.top) * steps.length));
      c.fillStyle = steps[level];
      c.fillRect(box.x + col * wide + 0.5, box.y + box.t - (map.row[k] + 1) * tall + 0.5, Math.max(1, wide - 1), Math.max(1, tall - 1));
    });
    for (const { at, words } of map.clock) this.words(words, box.x + at * wide, box.y + box.t + 14, { align: at < 1 ? 'left' : 'center' });
    this.words('UTC', this.w - 12, this.t - 7, { align: 'right', size: 10 });
    for (const { at, name } of map.marks) {
      const x = box.x + at * wide;
      Object.assign(c, { strokeStyle: this.paints.fg, lineWidth: 1 });
      c.setLineDash([2, 3]);
      c.beginPath(); c.moveTo(x, TOP - 6); c.lineTo(x, box.y + box.t); c.stroke();
      c.setLineDash([]);
      this.words(name, clip(x + 3, box.x, this.w - 90), 9);
    }
    if (this.brush) this.outline(wide, tall);
  }

  outline(wide, tall) {
    const { box, c, brush: [c0, c1, r0, r1] } = this;
    const frame = [box.x + c0 * wide, box.y + box.t - r1 * tall, (c1 - c0) * wide, (r1 - r0) * tall];
    c.globalAlpha = 0.12;
    c.fillStyle = this.paints.acc;
    c.fillRect(...frame);
    c.globalAlpha = 1;
    Object.assign(c, { strokeStyle: this.paints.acc, lineWidth: 2 });
    c.strokeRect(...frame);
  }

  /** The cell under the pointer, within the map. */
  cell(event) {
    const at = this.canvas.getBoundingClientRect(), { box, map } = this;
    const col = Math.floor((event.clientX - at.left - box.x) / box.w * map.cols);
    const row = Math.floor((box.y + box.t - (event.clientY - at.top)) / box.t * map.rows);
    return { col: clip(col, 0, map.cols - 1), row: clip(row, 0, map.rows - 1), inside: col >= 0 && col < map.cols && row >= 0 && row < map.rows };
  }

  /** Choose cells [from column, to column, from row, to row], the ends excluded; null chooses none. */
  choose(brush, { quiet = false } = {}) {
    this.brush = brush;
    this.clear.disabled = !brush;
    if (brush) {
      const [c0, c1, r0, r1] = brush, { map } = this;
      let weight = 0;
      map.col.forEach((col, k) => { if (col >= c0 && col < c1 && map.row[k] >= r0 && map.row[k] < r1) weight += map.weight[k]; });
      this.told(`${count(weight)} ${Math.round(weight) === 1 ? 'request' : 'requests'}`, `began from ${map.times[c0]} to ${map.times[c1]} UTC and took from ${duration(map.edges[r0])} to ${duration(map.edges[r1])}.`);
    } else this.told('', 'Nothing is chosen. Drag, or press an arrow key: arrows move the rectangle, with Shift they size it, Escape clears it.');
    if (!quiet) this.onBrush?.(brush ?? []);
    this.draw();
  }

  listen() {
    let grip = null;
    this.on(this.canvas, 'pointerdown', e => {
      const { col, row, inside } = this.cell(e);
      if (!inside || e.button) return;
      grip = { col, row };
      this.tip.hidden = true;
      this.canvas.setPointerCapture(e.pointerId);
      this.choose([col, col + 1, row, row + 1], { quiet: true });
    });
    this.on(this.canvas, 'pointermove', e => {
      const { col, row, inside } = this.cell(e);
      if (grip) this.choose([Math.min(col, grip.col), Math.max(col, grip.col) + 1, Math.min(row, grip.row), Math.max(row, grip.row) + 1], { quiet: true });
      else if (inside) this.peek(e, col, row);
      else this.tip.hidden = true;
    });
    for (const end of ['pointerup', 'pointercancel']) this.on(this.canvas, end, () => { if (grip) { grip = null; this.choose(this.brush); } });
    this.on(this.canvas, 'pointerleave', () => { this.tip.hidden = true; });
    this.on(this.canvas, 'keydown', e => this.key(e));
  }

  peek(event, col, row) {
    const { map } = this, k = this.at.get(col * map.rows + row);
    if (k === undefined) { this.tip.hidden = true; return; }
    const words = map.weight[k] === map.traces[k] ? '' : ` from ${count(map.traces[k])} in hand`;
    this.hint(event, `${count(map.weight[k])} ${map.weight[k] === 1 ? 'request' : 'requests'}${words}`, [`${duration(map.edges[row])} to ${duration(map.edges[row + 1])}`, `${map.times[col]} UTC`]);
  }

  key(e) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key];
    if (e.key === 'Escape') this.choose(null);
    if (!step) return;
    e.preventDefault();
    const { cols, rows } = this.map;
    if (!this.brush) { this.choose([0, cols, 0, rows]); return; }
    let [c0, c1, r0, r1] = this.brush;
    const [x, y] = step;
    if (e.shiftKey) { c1 = clip(c1 + x, c0 + 1, cols); r1 = clip(r1 + y, r0 + 1, rows); }
    else {
      const dx = clip(x, -c0, cols - c1), dy = clip(y, -r0, rows - r1);
      [c0, c1, r0, r1] = [c0 + dx, c1 + dx, r0 + dy, r1 + dy];
    }
    this.choose([c0, c1, r0, r1]);
  }
}

// ------------------------------------------------------------------------------------------------ 6 flame

const LANE = 18, LABEL = 34;

/** tree = {title, note, names, name, parent, depth, x0, x1, slot, value, whole, unit, presence, spans, traces} or, of a difference, {tint, other, change, was_present, gone} in place of the last two: rows in preorder, places in shares of the whole */
export class Flame extends Pane {
  constructor(host, tree, { height = 480, onSelect = null, onSearch = null } = {}) {
    super(host, height, 'Flame view');
    Object.assign(this, { tree, onSelect, onSearch, from: 0, to: 1, chosen: -1, over: -1, hits: new Uint8Array(tree.names.length), found: '' });
    this.lanes = 1 + tree.depth.reduce((a, b) => Math.max(a, b), -1);
    this.root.style.height = `${Math.min(height, Math.max(220, this.lanes * LANE + 110))}px`; // no taller than its frames, but with room for words
    this.tall.style.minHeight = '100%';
    this.tall.style.height = `${this.lanes * LANE + 4}px`;
    this.bar.append(h('b', '', tree.title));
    this.search = set(h('input'), { type: 'search', placeholder: 'Search', 'aria-label': 'Search in names' });
    this.bar.append(this.search);
    this.note = h('span', 'tkc-dim');
    this.bar.append(this.note, h('span', 'tkc-gap'));
    if (tree.tint) this.bar.append(this.legend());
    this.all = this.button('All', () => this.zoom(-1), 'Escape');
    this.all.disabled = true;
    this.byParent = this.children();
    this.listen();
    this.idle();
  }

  legend() {
    const key = h('span', 'tkc-dim');
    for (const [colour, words] of [['#d1495b', 'longer'], ['#9aa1ab', 'alike'], ['#2d78c4', 'shorter']]) {
      const i = h('i', 'tkc-key');
      i.style.background = colour;
      key.append(i, words);
    }
    return key;
  }

  children() {
    const lists = new Map();
    this.tree.parent.forEach((p, k) => { if (!lists.has(p)) lists.set(p, []); lists.get(p).push(k); });
    for (const list of lists.values()) list.sort((a, b) => this.tree.x0[a] - this.tree.x0[b]);
    return lists;
  }

  colour(k) {
    const { tint, slot } = this.tree;
    if (!tint) return (this.dark ? DARK : LIGHT)[slot[k] % 10];
    const t = clip(tint[k], -1, 1), end = t < 0 ? [45, 120, 196] : [209, 73, 91], calm = this.dark ? [74, 80, 90] : [205, 209, 215];
    const share = Math.sqrt(Math.abs(t));
    return `#${end.map((v, i) => Math.round(calm[i] + (v - calm[i]) * share).toString(16).padStart(2, '0')).join('')}`;
  }

  paint() {
    if (!this.begin()) return;
    const { tree, c, from, to } = this, scale = this.w / (to - from), above = this.scroll.scrollTop;
    const reached = new Float64Array(this.lanes).fill(-1);
    c.font = `11px ${this.font}`;
    c.textBaseline = 'middle';
    c.textAlign = 'left';
    let drawn = 0;
    for (let k = 0; k < tree.name.length; k++) {
      const y = tree.depth[k] * LANE - above;
      if (y < -LANE || y > this.t) continue;
      const a = (tree.x0[k] - from) * scale, b = (tree.x1[k] - from) * scale;
      if (b <= 0 || a >= this.w || b <= reached[tree.depth[k]] + 0.5) continue; // what is thinner than half a pixel is one
      reached[tree.depth[k]] = b;
      this.rect(k, Math.max(0, a), Math.min(this.w, b), y);
      drawn++;
    }
    this.drawn = drawn;
  }

  rect(k, a, b, y) {
    const { c, tree } = this, wide = Math.max(0.5, b - a - (b - a > 3 ? 1 : 0)), hit = this.found && this.hits[tree.name[k]];
    const colour = hit ? this.paints.hit : this.colour(k);
    c.globalAlpha = this.found && !hit ? 0.32 : 1;
    c.fillStyle = colour;
    c.fillRect(a, y, wide, LANE - 1);
    c.globalAlpha = 1;
    if (k === this.chosen || k === this.over) {
      Object.assign(c, { strokeStyle: this.paints.fg, lineWidth: k === this.chosen ? 2 : 1 });
      c.strokeRect(a + 1, y + 1, Math.max(1, wide - 2), LANE - 3);
    }
    if (wide < LABEL) return;
    c.fillStyle = this.found && !hit ? this.paints.fg : /^#[0-9a-f]{6}$/i.test(colour) ? inkOn(colour) : this.paints.fg;
    c.fillText(this.fitted(tree.names[tree.name[k]], wide - 8), a + 4, y + LANE / 2);
  }

  /** As much of a name as fits, by the mean width of its letters, then exactly. */
  fitted(name, room) {
    let short = name.slice(0, Math.ceil(room / 3));
    if (this.c.measureText(short).width <= room && short.length === name.length) return short;
    while (short && this.c.measureText(`${short}…`).width > room) short = short.slice(0, Math.floor(short.length * 0.9) - 1);
    return short ? `${short}…` : '';
  }

  /** What is known about one call path, a line each. */
  lines(k) {
    const { value, spans, traces, other, change, presence, was_present: was, unit, whole, parent } = this.tree, up = parent[k];
    const signed = ns => `${ns > 0 ? '+' : ''}${duration(ns)}`;
    const out = [`${duration(value[k])} ${unit}, ${percent(whole ? value[k] / whole : 0)} of all${up >= 0 && value[up] ? `, ${percent(value[k] / value[up])} of its caller` : ''}`];
    if (other) out.push(`${duration(other[k])} before: ${signed(value[k] - other[k])}, of which ${signed(change[k])} its own`, `${percent(presence[k])} of requests wait for it, ${percent(was[k])} before`);
    else out.push(`${percent(presence[k])} of requests wait for it; ${count(spans[k])} ${spans[k] === 1 ? 'span' : 'spans'} in ${count(traces[k])} ${traces[k] === 1 ? 'request' : 'requests'}`);
    return out;
  }

  idle() {
    const gone = this.tree.gone ? ` ${this.tree.gone}` : '';
    this.told('', this.tree.name.length === 0 ? this.tree.note : `${this.tree.note}${gone} Click zooms in, All or Escape goes back. Arrow keys walk, / searches.`);
  }

  select(k, { quiet = false } = {}) {
    this.chosen = k;
    if (k < 0) this.idle();
    else { this.told(this.tree.names[this.tree.name[k]], this.lines(k).join('; ')); this.reveal(k); }
    if (!quiet) this.onSelect?.(k);
    this.draw();
  }

  reveal(k) {
    const y = this.tree.depth[k] * LANE;
    if (y < this.scroll.scrollTop) this.scroll.scrollTop = y;
    if (y + LANE > this.scroll.scrollTop + this.scroll.clientHeight) this.scroll.scrollTop = y + LANE - this.scroll.clientHeight;
    const { x0, x1 } = this.tree;
    if (x1[k] <= this.from || x0[k] >= this.to) this.look(x0[k], x1[k]);
  }

  look(from, to) {
    [this.from, this.to] = to > from ? [from, to] : [0, 1];
    this.all.disabled = this.from === 0 && this.to === 1;
    this.draw();
  }

  /** Let one frame fill the width; -1 shows everything. */
  zoom(k) {
    if (k < 0) { this.look(0, 1); this.select(-1); } else { this.look(this.tree.x0[k], this.tree.x1[k]); this.select(k); }
  }

  find(words, { quiet = false } = {}) {
    const wanted = words.trim().toLowerCase(), { tree } = this;
    this.found = wanted;
    tree.names.forEach((name, k) => { this.hits[k] = wanted && name.toLowerCase().includes(wanted) ? 1 : 0; });
    let frames = 0, share = 0;
    const under = new Uint8Array(tree.name.length); // counted once: what is below a hit is in it
    tree.name.forEach((name, k) => {
      const up = tree.parent[k];
      if (this.hits[name]) { frames++; if (!(up >= 0 && under[up])) share += tree.x1[k] - tree.x0[k]; }
      under[k] = this.hits[name] || (up >= 0 && under[up]) ? 1 : 0;
    });
    this.note.textContent = wanted ? `${count(frames)} ${frames === 1 ? 'frame' : 'frames'}, ${percent(share)} of all` : '';
    if (!quiet) this.onSearch?.(words);
    this.draw();
  }

  hit(event) {
    const at = this.canvas.getBoundingClientRect(), { tree } = this;
    const x = this.from + (event.clientX - at.left) / this.w * (this.to - this.from), lane = Math.floor((event.clientY - at.top + this.scroll.scrollTop) / LANE);
    let best = -1;
    for (let k = 0; k < tree.name.length; k++) if (tree.depth[k] === lane && tree.x0[k] <= x && x < tree.x1[k]) best = k;
    return best;
  }

  listen() {
    this.on(this.scroll, 'scroll', () => this.draw());
    this.on(this.canvas, 'pointermove', e => {
      const k = this.hit(e);
      if (k !== this.over) { this.over = k; this.draw(); }
      if (k < 0) this.tip.hidden = true;
      else this.hint(e, this.tree.names[this.tree.name[k]], this.lines(k));
    });
    this.on(this.canvas, 'pointerleave', () => { this.tip.hidden = true; this.over = -1; this.draw(); });
    this.on(this.canvas, 'click', e => { const k = this.hit(e); if (k >= 0) this.zoom(k); });
    this.on(this.search, 'input', () => this.find(this.search.value));
    this.on(this.search, 'keydown', e => { if (e.key === 'Escape') { this.search.value = ''; this.find(''); this.canvas.focus(); } });
    this.on(this.canvas, 'keydown', e => this.key(e));
  }

  key(e) {
    const k = this.chosen, family = this.byParent.get(k < 0 ? -1 : this.tree.parent[k]) ?? [];
    const beside = step => family[family.indexOf(k) + step] ?? k;
    const acts = {
      ArrowUp: () => this.select(this.tree.parent[k] >= 0 ? this.tree.parent[k] : k),
      ArrowDown: () => this.select(this.byParent.get(k)?.[0] ?? k),
      ArrowLeft: () => this.select(beside(-1)),
      ArrowRight: () => this.select(beside(1)),
      Enter: () => this.zoom(k),
      Escape: () => this.zoom(-1),
      '/': () => this.search.focus(),
    };
    if (!acts[e.key] || e.ctrlKey || e.metaKey || e.altKey || !this.tree.name.length) return;
    e.preventDefault();
    if (k < 0 && e.key.startsWith('Arrow')) this.select(0);
    else acts[e.key]();
  }
}

// ------------------------------------------------------------------------------------------------ 7 notebook

/** The entry point of anywidget: draw the model, keep what is chosen the same on both sides. */
function render({ model, el }) {
  const height = model.get('height'), payload = JSON.parse(model.get('payload'));
  const tell = name => value => { model.set(name, value); model.save_changes(); };
  if (payload.view === 'heat') {
    const view = new Heat(el, payload, { height, onBrush: tell('brush') });
    const follow = () => {
      const brush = model.get('brush');
      if (String(brush) !== String(view.brush ?? [])) view.choose(brush.length ? [...brush] : null, { quiet: true });
    };
    model.on('change:brush', follow);
    follow();
    return () => { model.off('change:brush', follow); view.destroy(); };
  }
  const view = new Flame(el, payload, { height, onSelect: tell('selected'), onSearch: tell('search') });
  const follow = () => {
    if (model.get('selected') !== view.chosen) view.select(model.get('selected'), { quiet: true });
    if (model.get('search') !== view.search.value) { view.search.value = model.get('search'); view.find(model.get('search'), { quiet: true }); }
  };
  for (const name of ['selected', 'search']) model.on(`change:${name}`, follow);
  follow();
  return () => { for (const name of ['selected', 'search']) model.off(`change:${name}`, follow); view.destroy(); };
}

export default { render };
