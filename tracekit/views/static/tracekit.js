// tracekit.js: the whole front end in one ECMAScript module: no imports, no build step, no network.
//
// The same text runs as an anywidget (`export default {render}`) and inline in the offline report (`bootStatic()`).
// Rules that keep it safe and alive, each learned from a failure (spec/views.md, section 2):
//   - text only through textContent, style only through CSSOM and constructed sheets: a content security policy
//     of hashes alone is enough, and no name can become markup;
//   - nothing touches the document while the module loads;
//   - keys never leave a view (notebook shortcuts), plain wheel always scrolls the page.
//
// Sections: 1 style · 2 elements · 3 words · 4 theme · 5 data · 6 waterfall · 7 service map · 8 tables · 9 notebook
// · 10 report

// ------------------------------------------------------------------------------------------------ 1 style

const ROW = 22; // height of a row
const HEAD = 24; // height of the time axis
const MINI = 44; // height of the overview
const INDENT = 10; // per level
const DEEPEST = 14; // levels that are indented
const WIDE = 700; // below this width the detail stands under the rows

// The same as colours.py, which a test compares: same index, same hue, in both themes.
export const LIGHT = ['#0094e7', '#c48700', '#00a679', '#7a4964', '#2d78a3', '#753400', '#908a3c', '#5b32a8', '#4e382b', '#8695a6'];
export const DARK = ['#0094e7', '#ffb000', '#00cd95', '#e077b2', '#7ed1ff', '#aa4b00', '#c0b851', '#79579f', '#8c644d', '#606a77'];

// --tk-page-* is set by a page of ours (the report), --jp-* by JupyterLab, --vscode-* by VS Code, --tk-own-* is the rest.
const CSS = `
.tkw{--tk-own-bg:#fff;--tk-own-bg2:#f0f1f3;--tk-own-fg:#1c1e21;--tk-own-fg2:#5c6370;--tk-own-line:#dcdfe3;--tk-own-acc:#1976d2;--tk-own-err:#d32f2f;
--tk-bg:var(--tk-page-bg,var(--jp-layout-color0,var(--vscode-editor-background,var(--tk-own-bg))));
--tk-bg2:var(--tk-page-bg2,var(--jp-layout-color2,var(--vscode-editorWidget-background,var(--tk-own-bg2))));
--tk-fg:var(--tk-page-fg,var(--jp-ui-font-color1,var(--vscode-editor-foreground,var(--tk-own-fg))));
--tk-fg2:var(--tk-page-fg2,var(--jp-ui-font-color2,var(--vscode-descriptionForeground,var(--tk-own-fg2))));
--tk-line:var(--tk-page-line,var(--jp-border-color2,var(--vscode-panel-border,var(--tk-own-line))));
--tk-acc:var(--tk-page-acc,var(--jp-brand-color1,var(--vscode-focusBorder,var(--tk-own-acc))));
--tk-err:var(--tk-page-err,var(--jp-error-color1,var(--tk-own-err)));--tk-hit:#ffd54a;--tk-hit-fg:#000;
--tk-code:var(--jp-code-font-family,ui-monospace,SFMono-Regular,Menlo,Consolas,monospace);
font:12px/1.35 var(--tk-page-font,var(--jp-ui-font-family,system-ui,-apple-system,"Segoe UI",sans-serif));color:var(--tk-fg);background:var(--tk-bg);
border:1px solid var(--tk-line);border-radius:6px;display:flex;flex-direction:column;overflow:hidden;position:relative;box-sizing:border-box;width:100%;text-align:left}
.tkw.tk-dark{--tk-own-bg:#16181d;--tk-own-bg2:#23262d;--tk-own-fg:#e4e6ea;--tk-own-fg2:#a3a9b3;--tk-own-line:#3a3f48;--tk-own-acc:#64b5f6;--tk-own-err:#ff6b6b;--tk-hit:#b58900}
.tkw *{box-sizing:border-box}
.tkw-probe{position:absolute;width:1px;height:1px;opacity:0;pointer-events:none;background-color:var(--tk-bg);transition:background-color 1ms}
.tkw-bar{display:flex;gap:6px 8px;align-items:center;padding:5px 8px;border-bottom:1px solid var(--tk-line);flex-wrap:wrap;flex:none}
.tkw-bar input,.tkw-bar button,.tkw-det button{font:inherit;color:inherit;background:var(--tk-bg);border:1px solid var(--tk-line);border-radius:4px;padding:2px 8px;margin:0}
.tkw-bar input{width:190px}.tkw-bar button,.tkw-det button{cursor:pointer}
.tkw-bar button:hover,.tkw-det button:hover{background:var(--tk-bg2)}
.tkw input:focus-visible,.tkw button:focus-visible{outline:2px solid var(--tk-acc);outline-offset:-1px}
.tkw-gap{flex:1}.tkw-dim{color:var(--tk-fg2);font-variant-numeric:tabular-nums}
.tkw-legend{gap:4px 14px;color:var(--tk-fg2);max-height:64px;overflow:auto}
.tkw-legend i{display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:5px}
.tkw-legend span{max-width:220px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;unicode-bidi:isolate}
.tkw-mini{display:block;width:100%;height:${MINI}px;border-bottom:1px solid var(--tk-line);cursor:col-resize;touch-action:none;flex:none}
.tkw-main{display:flex;flex:1;min-height:0;position:relative}
.tkw-main.under{flex-direction:column}
.tkw-col{flex:1;min-width:0;min-height:0;display:flex;flex-direction:column;position:relative}
.tkw-head{height:${HEAD}px;position:relative;border-bottom:1px solid var(--tk-line);background:var(--tk-bg2);flex:none;overflow:hidden;cursor:ew-resize;touch-action:none;user-select:none}
.tkw-head span{position:absolute;top:4px;white-space:nowrap;color:var(--tk-fg2);font-variant-numeric:tabular-nums;padding-left:4px;border-left:1px solid var(--tk-line)}
.tkw-head b{position:absolute;left:0;top:0;bottom:0;padding:4px 8px;font-weight:600;background:var(--tk-bg2);overflow:hidden;white-space:nowrap;cursor:default}
.tkw-split{position:absolute;top:0;bottom:0;width:9px;margin-left:-5px;cursor:col-resize;z-index:3;touch-action:none;outline:none}
.tkw-split::after{content:"";position:absolute;left:4px;top:0;bottom:0;width:1px;background:var(--tk-line)}
.tkw-split:hover::after,.tkw-split:focus-visible::after{width:3px;left:3px;background:var(--tk-acc)}
.tkw-scroll{flex:1;overflow-y:scroll;overflow-x:hidden;position:relative;outline:none;min-height:0}
.tkw-scroll:focus-visible{box-shadow:inset 0 0 0 2px var(--tk-acc)}
.tkw-pad{position:relative;width:100%}
.tkw-row{position:absolute;left:0;right:0;top:0;height:${ROW}px;border-bottom:1px solid color-mix(in srgb,var(--tk-line) 45%,transparent);contain:strict;cursor:pointer}
.tkw-row:hover{background:color-mix(in srgb,var(--tk-acc) 9%,transparent)}
.tkw-row[aria-selected=true]{background:color-mix(in srgb,var(--tk-acc) 20%,transparent)}
.tkw-row.hit .tkw-nm{background:var(--tk-hit);color:var(--tk-hit-fg);border-radius:2px;box-shadow:0 0 0 1px var(--tk-hit)}
.tkw-lab{position:absolute;left:0;top:0;bottom:0;overflow:hidden;white-space:nowrap;text-overflow:ellipsis;line-height:${ROW - 1}px;padding-right:6px}
.tkw-tw{position:absolute;width:14px;text-align:center;color:var(--tk-fg2);font-size:10px}
.tkw-svc{font-weight:600;border-left:3px solid;padding-left:5px;margin-right:6px;unicode-bidi:isolate}.tkw-nm{unicode-bidi:isolate}
.tkw-mark{color:var(--tk-err);font-weight:700;margin-right:4px}.tkw-mark.soft{color:var(--tk-fg2);font-weight:400;font-style:italic}
.tkw-line{position:absolute;top:0;bottom:0;right:0;overflow:hidden}
.tkw-b{position:absolute;left:0;top:5px;height:11px;border-radius:2px;min-width:2px;transform-origin:0 0}
.tkw-b.err{box-shadow:inset 0 0 0 1.5px var(--tk-err)}
.tkw-b.open{-webkit-mask-image:linear-gradient(90deg,#000 55%,transparent);mask-image:linear-gradient(90deg,#000 55%,transparent);border-radius:2px 0 0 2px}
.tkw-b.unbegun{-webkit-mask-image:linear-gradient(270deg,#000 55%,transparent);mask-image:linear-gradient(270deg,#000 55%,transparent)}
.tkw-b.guess{opacity:.55}
.tkw-d{position:absolute;top:0;line-height:${ROW - 1}px;font-size:11px;color:var(--tk-fg2);font-variant-numeric:tabular-nums;white-space:nowrap}
.tkw-det{width:300px;flex:none;border-left:1px solid var(--tk-line);overflow:auto;padding:10px 12px;display:none;outline:none}
.under .tkw-det{width:auto;border-left:0;border-top:1px solid var(--tk-line);max-height:50%}
.tkw-det.on{display:block}
.tkw-top{display:flex;gap:8px;align-items:flex-start;margin-bottom:6px}
.tkw-ttl{flex:1;min-width:0;font-size:13px;font-weight:700;overflow-wrap:anywhere;max-height:84px;overflow:auto;unicode-bidi:isolate}
.tkw-sec{margin:12px 0 4px;font-size:11px;font-weight:600;color:var(--tk-fg2);overflow-wrap:anywhere}
.tkw-kv{display:grid;grid-template-columns:minmax(70px,42%) minmax(0,1fr);gap:3px 8px}
.tkw-k{color:var(--tk-fg2);overflow-wrap:anywhere;unicode-bidi:isolate;max-height:84px;overflow:auto}
.tkw-v{font-family:var(--tk-code);font-size:11px;overflow-wrap:anywhere;white-space:pre-wrap;max-height:168px;overflow:auto;unicode-bidi:isolate}
.tkw-v.err{color:var(--tk-err)}
.tkw-live{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.tkw-note{padding:4px 8px;border-bottom:1px solid var(--tk-line);color:var(--tk-fg2);flex:none}
.tkw-map{flex:1;min-height:0;width:100%;touch-action:pan-y;cursor:grab;display:block}
.tkw-map text{fill:var(--tk-fg);font-size:12px;font-weight:600}.tkw-map .sub{fill:var(--tk-fg2);font-size:10.5px;font-weight:400;font-variant-numeric:tabular-nums}
.tkw-map .node{cursor:pointer;outline:none}.tkw-map .box{fill:var(--tk-bg);stroke:var(--tk-line);stroke-width:1.25}.tkw-map .guess .box{stroke-dasharray:4 3;stroke:var(--tk-fg2)}
.tkw-map .node:hover .box{fill:var(--tk-bg2)}.tkw-map .node:focus-visible .box,.tkw-map .on .box{stroke:var(--tk-acc);stroke-width:2.5}
.tkw-map .bad .sub{fill:var(--tk-err)}
.tkw-map .e{fill:none;stroke:var(--tk-fg2);opacity:.55}.tkw-map .e.err{stroke:var(--tk-err);opacity:.85}.tkw-map .arrow{fill:var(--tk-fg2)}.tkw-map .arrow.err{fill:var(--tk-err)}
.tkw-map .far{opacity:.16}.tkw-map .e.far{opacity:.08}
.tkw-say{border-top:1px solid var(--tk-line);padding:6px 10px;flex:none;height:64px;overflow:auto;color:var(--tk-fg2)}
.tkw-say b{color:var(--tk-fg)}.tkw-say div{overflow-wrap:anywhere}
@media (forced-colors:active){.tkw-b{forced-color-adjust:none}}
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

/** A new element with a class and, as text only, its words. */
function h(tag, cls = '', words = null) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (words != null) e.textContent = words;
  return e;
}

/** Set attributes; null removes one. */
function set(e, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value == null) e.removeAttribute(key);
    else e.setAttribute(key, value);
  }
  return e;
}

function button(words, act, title) {
  const e = h('button', '', words);
  e.type = 'button';
  if (title) e.title = title;
  e.onclick = act;
  return e;
}

let views = 0;
const uniqueName = () => `tk${++views}`;

/** Call once, in the next frame, however often it was asked for. */
function oncePerFrame(act) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      act();
    });
  };
}

/** The outer box of a view: themed, and closed to the shortcuts of the notebook around it. */
function frame(host, height, signal) {
  style(host);
  const root = h('div', 'tkw');
  root.style.height = `${height}px`;
  root.dataset.lmSuppressShortcuts = 'true'; // JupyterLab looks for this in the capture phase
  root.addEventListener('keydown', e => e.stopPropagation(), { signal }); // others listen in the bubble phase
  host.append(root);
  return root;
}

// ------------------------------------------------------------------------------------------------ 3 words

const UNITS = [[1, 'ns'], [1e3, 'µs'], [1e6, 'ms'], [1e9, 's']];

/** Three significant digits and a unit, as text.py writes them. */
export function duration(ns) {
  if (!Number.isFinite(ns)) return '–';
  const size = Math.abs(ns);
  let step = size >= 1e9 ? 3 : size >= 1e6 ? 2 : size >= 1e3 ? 1 : 0;
  if (step < 3 && Number(digits(size / UNITS[step][0])) >= 1000) step++;
  if (step === 0 && Number.isInteger(ns)) return `${ns} ns`;
  return `${ns < 0 ? '-' : ''}${digits(size / UNITS[step][0])} ${UNITS[step][1]}`;
}

function digits(value) {
  for (const [places, below] of [[2, 10], [1, 100]]) {
    const short = value.toFixed(places);
    if (Number(short) < below) return short;
  }
  return value.toFixed(0);
}

/** The same without zeros that say nothing: for axes. */
const tickLabel = ns => (ns === 0 ? '0' : duration(ns).replace(/(\.\d*?)0+(?= )/, '$1').replace(/\.(?= )/, ''));

/** Round times (1, 2 or 5 and zeros) between two, about as many as wanted. */
export function ticks(from, to, wanted) {
  const rough = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(m => m * power >= rough * 0.999) * power;
  const out = [];
  for (let k = Math.ceil(from / step); k * step < to; k++) out.push(k * step);
  return out;
}

const label = (words, limit = 300) => (words.length > limit ? `${words.slice(0, limit - 1)}…` : words);
const hex = (hi, lo) => hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0');

// ------------------------------------------------------------------------------------------------ 4 theme

export function isDark() {
  const body = document.body, page = document.documentElement;
  if (body.dataset.jpThemeLight != null) return body.dataset.jpThemeLight === 'false';
  if (/vscode-(dark|high-contrast)(?!-light)/.test(body.className)) return true;
  if (/vscode-(light|high-contrast-light)/.test(body.className)) return false;
  const named = page.dataset.theme || page.getAttribute('theme');
  if (named) return named === 'dark';
  return matchMedia('(prefers-color-scheme: dark)').matches;
}

/**
 * Call `apply` now and whenever the theme changes.  JupyterLab sets its attribute first and loads the variables later,
 * so a probe with a transition tells when the background really changed.
 */
function watchTheme(root, apply, signal) {
  const probe = set(h('i', 'tkw-probe'), { 'aria-hidden': 'true' });
  const refresh = () => {
    root.classList.toggle('tk-dark', isDark());
    apply();
  };
  probe.addEventListener('transitionend', refresh, { signal });
  root.append(probe);
  const observer = new MutationObserver(refresh);
  observer.observe(document.body, { attributes: true, attributeFilter: ['data-jp-theme-light', 'data-jp-theme-name', 'class'] });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme', 'theme', 'class'] });
  signal.addEventListener('abort', () => observer.disconnect());
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', refresh, { signal });
  refresh();
}

const colourOf = slot => (isDark() ? DARK : LIGHT)[slot % LIGHT.length];

// ------------------------------------------------------------------------------------------------ 5 data

const TYPES = { f8: Float64Array, f4: Float32Array, i4: Int32Array, u4: Uint32Array, u2: Uint16Array, u1: Uint8Array };
const ERROR = 1, NO_END = 2, NO_START = 4, INFERRED = 8, ORPHAN = 16; // bits of `flags`; see waterfall.py
const NO_TIME = -(2 ** 53); // in `evAt`

/** Read a TKW1 buffer: columns by name, and `strings`, `meta`; see tkw1.py. */
export function decode(view) {
  let bytes = view instanceof ArrayBuffer ? new Uint8Array(view) : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  if (bytes.byteOffset % 8) bytes = bytes.slice(); // a Bytes trait may be unaligned
  if (bytes.length < 8 || String.fromCharCode(...bytes.subarray(0, 4)) !== 'TKW1') throw new Error('expected a TKW1 buffer');
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getUint32(4, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const first = bytes.byteOffset + Math.ceil((8 + length) / 8) * 8;
  const table = { meta: head.meta, strings: head.strings };
  for (const [name, [type, offset, count]] of Object.entries(head.cols)) {
    table[name] = new TYPES[type](bytes.buffer, first + offset, count);
  }
  return table;
}

/** A trace to draw: the columns and what follows from them. */
function traceOf(table) {
  const trace = Object.assign(Object.create(null), table);
  trace.n = table.start.length;
  trace.end = 1;
  for (let i = 0; i < trace.n; i++) trace.end = Math.max(trace.end, table.start[i] + table.dur[i]);
  return trace;
}

const finish = (T, i) => T.start[i] + Math.max(0, T.dur[i]);
const isParent = (T, i) => T.subEnd[i] > i + 1;
const hasDetails = T => T.attrOff !== undefined;

/** What the row says about its time; a missing end is said, not drawn as a number. */
function timeWords(T, i) {
  if (T.flags[i] & NO_START) return 'no start';
  if (T.flags[i] & NO_END) return 'no end';
  return duration(T.dur[i]);
}

function spokenRow(T, i) {
  const error = T.flags[i] & ERROR ? ', error' : '';
  return `${timeWords(T, i)}, starts at ${duration(T.start[i])}${error}`;
}

/** Everything known about entry j of a table with details: its status text, and [heading, [[key, value]]]. */
function details(D, j) {
  const S = D.strings, out = [];
  const pairs = (offsets, keys, values, k) => {
    const rows = [];
    for (let p = offsets[k]; p < offsets[k + 1]; p++) rows.push([S[keys[p]], S[values[p]]]);
    return rows;
  };
  const attributes = pairs(D.attrOff, D.attrK, D.attrV, j);
  if (attributes.length) out.push(['Attributes', attributes]);
  for (let k = D.evOff[j]; k < D.evOff[j + 1]; k++) {
    const at = D.evAt[k] === NO_TIME ? '' : ` at ${duration(D.evAt[k])}`;
    out.push([`Event ${S[D.evName[k]]}${at}`, pairs(D.evAttrOff, D.evAttrK, D.evAttrV, k)]);
  }
  const links = [];
  for (let k = D.lnOff[j]; k < D.lnOff[j + 1]; k++) links.push(['link', S[D.lnText[k]]]);
  if (links.length) out.push(['Links', links]);
  const resource = pairs(D.resOff, D.resK, D.resV, D.res[j]);
  if (resource.length) out.push(['Resource', resource]);
  const parent = D.parHi[j] || D.parLo[j] ? [['parent id', hex(D.parHi[j], D.parLo[j])]] : [];
  out.push(['Record', [['span id', hex(D.spanHi[j], D.spanLo[j])], ...parent, ['source', D.meta.sources[D.src[j]]],
    ['record', D.rec[j].toLocaleString('en')], ['byte', D.off[j].toLocaleString('en')]]]);
  return { status: S[D.status[j]], sections: out };
}

// ------------------------------------------------------------------------------------------------ 6 waterfall

/** One pooled row: its elements, filled when it comes into sight, placed on every zoom. */
class Row {
  constructor() {
    this.index = -1;
    this.el = set(h('div', 'tkw-row'), { role: 'row' });
    this.label = set(h('div', 'tkw-lab'), { role: 'gridcell' });
    this.line = set(h('div', 'tkw-line'), { role: 'gridcell' });
    this.twisty = set(h('span', 'tkw-tw'), { 'aria-hidden': 'true' });
    this.service = h('span', 'tkw-svc');
    this.error = h('span', 'tkw-mark', '!');
    this.orphan = h('span', 'tkw-mark soft', 'parent missing');
    this.name = h('span', 'tkw-nm');
    this.bar = h('div', 'tkw-b');
    this.time = h('span', 'tkw-d');
    this.label.append(this.twisty, this.service, this.error, this.orphan, this.name);
    this.line.append(this.bar, this.time);
    this.el.append(this.label, this.line);
  }

  /** Text and identity: once for each span that comes into sight. */
  fill(W, i, k) {
    const { T, uid } = W, flags = T.flags[i], colour = colourOf(T.meta.slots[T.svc[i]]);
    this.index = i;
    this.el.id = `${uid}-${i}`;
    this.el.dataset.row = i;
    this.el.style.display = '';
    this.el.style.transform = `translateY(${k * ROW}px)`;
    const expanded = isParent(T, i) ? String(!W.collapsed[i]) : null;
    set(this.el, { 'aria-level': T.depth[i] + 1, 'aria-rowindex': k + 1, 'aria-expanded': expanded });
    const indent = 6 + Math.min(T.depth[i], DEEPEST) * INDENT;
    this.twisty.textContent = expanded === null ? '' : W.collapsed[i] ? '▸' : '▾';
    this.twisty.style.left = `${indent}px`;
    this.label.style.paddingLeft = `${indent + 16}px`;
    this.service.textContent = label(T.meta.services[T.svc[i]], 100);
    this.service.style.borderLeftColor = colour;
    this.name.textContent = label(T.strings[T.name[i]]);
    this.error.hidden = !(flags & ERROR);
    this.orphan.hidden = !(flags & ORPHAN);
    this.bar.style.background = colour;
    this.bar.className = `tkw-b${flags & ERROR ? ' err' : ''}${flags & NO_END ? ' open' : ''}${flags & NO_START ? ' unbegun' : ''}${flags & INFERRED ? ' guess' : ''}`;
    this.time.textContent = timeWords(T, i) + (flags & INFERRED ? ' (inferred)' : '');
    set(this.line, { 'aria-label': spokenRow(T, i) });
    this.label.title = `${this.service.textContent}  ${this.name.textContent}`;
  }

  /** Geometry: every frame. */
  place(W, i) {
    const { T } = W, width = W.width - W.split, scale = width / (W.to - W.from);
    this.label.style.width = `${W.split}px`;
    this.line.style.left = `${W.split}px`;
    const x0 = Math.max(-4, (T.start[i] - W.from) * scale), x1 = Math.min(width + 4, (finish(T, i) - W.from) * scale);
    const outside = x1 < -3 || x0 > width + 3;
    this.bar.style.display = this.time.style.display = outside ? 'none' : '';
    if (!outside) {
      this.bar.style.transform = `translateX(${x0.toFixed(1)}px)`;
      this.bar.style.width = `${Math.max(2, x1 - x0).toFixed(1)}px`;
      const room = 10 + this.time.textContent.length * 6.5, right = x1 + room < width, left = !right && x0 > room;
      this.time.style.left = right ? `${(x1 + 5).toFixed(1)}px` : '';
      this.time.style.right = right ? '' : `${(left ? width - x0 + 5 : Math.max(6, width - x1 + 6)).toFixed(1)}px`;
      this.time.style.color = right || left || T.flags[i] & (NO_END | INFERRED) ? '' : inkOn(colourOf(T.meta.slots[T.svc[i]]));
    }
    this.el.setAttribute('aria-selected', i === W.selected);
    this.el.classList.toggle('hit', !!(W.hits && W.hits[i]));
  }

  hide() {
    this.index = -1;
    this.el.removeAttribute('id');
    delete this.el.dataset.row;
    this.el.style.display = 'none';
  }
}

/** Black above a relative luminance of 0.18, else white: text on a bar. */
function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map(k => parseInt(colour.slice(k, k + 2), 16) / 255).map(c => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? '#000' : '#fff';
}

/** The overview: the whole trace, painted once, and over it the window. */
class Minimap {
  constructor(W) {
    this.W = W;
    this.el = set(h('canvas', 'tkw-mini'), { role: 'img', 'aria-label': 'Overview of the whole trace; drag to zoom, double click for all' });
    this.whole = null;
    let from = null;
    const at = e => Math.max(0, Math.min(1, e.offsetX / this.el.clientWidth)) * W.T.end;
    W.on(this.el, 'pointerdown', e => { this.el.setPointerCapture(e.pointerId); from = at(e); });
    W.on(this.el, 'pointermove', e => {
      if (from != null && Math.abs(at(e) - from) > W.T.end * 0.002) W.look(Math.min(from, at(e)), Math.max(from, at(e)));
    });
    W.on(this.el, 'pointerup', () => { from = null; });
    W.on(this.el, 'pointercancel', () => { from = null; });
    W.on(this.el, 'dblclick', () => W.look(0, W.T.end));
  }

  forget() { this.whole = null; }

  /** One stroke a span, its height by its row: a single pass for 100,000 spans. */
  paint(width, height) {
    const { T } = this.W, canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const pen = canvas.getContext('2d');
    pen.fillStyle = this.colours.bg;
    pen.fillRect(0, 0, width, height);
    const slots = T.meta.slots.map(colourOf), thick = Math.max(1, Math.min(4, (height - 4) / T.n * 0.8));
    for (let i = 0; i < T.n; i++) {
      pen.fillStyle = T.flags[i] & ERROR ? this.colours.err : slots[T.svc[i]];
      pen.fillRect(T.start[i] / T.end * width, 2 + i / T.n * (height - 4), Math.max(1, Math.max(0, T.dur[i]) / T.end * width), thick);
    }
    return canvas;
  }

  draw() {
    const { W } = this, ratio = devicePixelRatio || 1, width = Math.round(W.root.clientWidth * ratio), height = Math.round(MINI * ratio);
    if (!width) return;
    if (!this.whole || this.whole.width !== width) {
      const look = getComputedStyle(W.root), colour = name => look.getPropertyValue(name).trim();
      this.colours = { bg: colour('--tk-bg'), err: colour('--tk-err'), acc: colour('--tk-acc') };
      this.el.width = width;
      this.el.height = height;
      this.whole = this.paint(width, height);
    }
    const pen = this.el.getContext('2d'), a = W.from / W.T.end * width, b = W.to / W.T.end * width;
    pen.drawImage(this.whole, 0, 0);
    pen.fillStyle = isDark() ? 'rgba(0,0,0,.55)' : 'rgba(120,130,140,.35)';
    pen.fillRect(0, 0, a, height);
    pen.fillRect(b, 0, width - b, height);
    const rows = W.rows.length || 1, top = W.scroll.scrollTop / ROW / rows * height, tall = Math.max(2, W.height / ROW / rows * height);
    pen.strokeStyle = this.colours.acc;
    pen.lineWidth = ratio;
    pen.strokeRect(a + 0.5, Math.min(height - 2, top) + 0.5, Math.max(2, b - a - 1), Math.min(height - 1 - Math.min(height - 2, top), tall));
  }
}

/** The time axis, which pans when dragged, and the handle between names and bars. */
class Ruler {
  constructor(W) {
    this.W = W;
    this.el = h('div', 'tkw-head');
    this.title = h('b', '', 'Service and operation');
    this.handle = set(h('div', 'tkw-split'), { role: 'separator', tabindex: 0, 'aria-orientation': 'vertical', 'aria-label': 'Width of the name column', 'aria-valuemin': 100 });
    let grip = null;
    W.on(this.el, 'pointerdown', e => { this.el.setPointerCapture(e.pointerId); grip = [e.clientX, W.from, W.to]; });
    W.on(this.el, 'pointermove', e => {
      if (!grip) return;
      const moved = (e.clientX - grip[0]) / (W.width - W.split) * (grip[2] - grip[1]);
      W.look(grip[1] - moved, grip[2] - moved);
    });
    for (const end of ['pointerup', 'pointercancel']) W.on(this.el, end, () => { grip = null; });
    let wide = null;
    W.on(this.handle, 'pointerdown', e => { this.handle.setPointerCapture(e.pointerId); wide = [e.clientX, W.split]; e.preventDefault(); });
    W.on(this.handle, 'pointermove', e => { if (wide) W.setSplit(wide[1] + e.clientX - wide[0]); });
    for (const end of ['pointerup', 'pointercancel']) W.on(this.handle, end, () => { wide = null; });
    W.on(this.handle, 'dblclick', () => W.setSplit(null));
    W.on(this.handle, 'keydown', e => {
      const step = { ArrowLeft: -16, ArrowRight: 16 }[e.key];
      if (step) { W.setSplit(W.split + step); e.preventDefault(); }
    });
  }

  draw() {
    const { W } = this, width = W.width - W.split;
    this.title.style.width = `${W.split}px`;
    this.handle.style.left = `${W.split}px`;
    set(this.handle, { 'aria-valuenow': Math.round(W.split), 'aria-valuemax': Math.round(W.width - 120) });
    const marks = ticks(W.from, W.to, Math.max(2, Math.floor(width / 110))).map(time => {
      const x = (time - W.from) / (W.to - W.from) * width, words = tickLabel(time);
      const mark = h('span', '', x + 8 + words.length * 6.5 < width ? words : ''); // half a number misleads
      mark.style.left = `${W.split + x}px`;
      return mark;
    });
    this.el.replaceChildren(...marks, this.title);
  }
}

/** What is known about the selected span. */
class Detail {
  constructor(W, ask) {
    this.W = W;
    this.ask = ask;
    this.el = set(h('div', 'tkw-det'), { role: 'group', 'aria-label': 'Span detail', tabindex: 0 });
  }

  get open() { return this.el.classList.contains('on'); }

  show(i) {
    const { T } = this.W;
    this.row = i;
    this.el.classList.add('on');
    if (hasDetails(T)) this.fill(i, details(T, i));
    else {
      this.fill(i, { status: '', sections: [['Attributes', [['', this.ask ? 'asking the notebook …' : 'not embedded']]]] });
      this.ask?.(i, table => { if (this.row === i) this.fill(i, details(table, 0)); });
    }
  }

  fill(i, { status, sections }) {
    const { T } = this.W, flags = T.flags[i], top = h('div', 'tkw-top');
    const title = set(h('div', 'tkw-ttl', T.strings[T.name[i]]), { role: 'heading', 'aria-level': 4 });
    top.append(title, button('Close', () => this.W.close(), 'Esc'));
    const facts = [['service', T.meta.services[T.svc[i]]], ['kind', T.meta.kinds[T.kind[i]].toLowerCase()], ['duration', timeWords(T, i)], ['starts at', flags & NO_START ? 'no start in the record' : duration(T.start[i])]];
    if (flags & NO_END) facts.push(['end', 'no end in the record: drawn to the end of the trace']);
    if (flags & ERROR) facts.push(['status', `error${status ? `: ${status}` : ''}`, true]);
    else if (status) facts.push(['status', status]);
    if (flags & ORPHAN) facts.push(['parent', 'not in the data']);
    if (flags & INFERRED) facts.push(['origin', 'written by the backend for a callee that sent nothing']);
    this.el.replaceChildren(top, this.grid(facts), ...sections.flatMap(([heading, rows]) => [set(h('div', 'tkw-sec', heading), { role: 'heading', 'aria-level': 5 }), this.grid(rows)]));
    this.el.scrollTop = 0;
  }

  grid(rows) { // own classed boxes: JupyterLab restyles dl, dt and tables in outputs
    const box = h('div', 'tkw-kv');
    for (const [key, value, bad] of rows) {
      const name = h('div', 'tkw-k');
      for (const part of key.split(/(?<=[._])/)) name.append(part, h('wbr')); // break after a dot before inside a word
      box.append(name, h('div', `tkw-v${bad ? ' err' : ''}`, value));
    }
    return box;
  }
}

/** A trace as rows on a time axis; only the rows in sight exist. */
export class Waterfall {
  constructor(host, table, { height = 480, onSelect = null, ask = null } = {}) {
    this.T = traceOf(table);
    this.onSelect = onSelect;
    this.uid = uniqueName();
    this.stop = new AbortController();
    this.from = 0;
    this.to = this.T.end;
    this.selected = -1;
    this.collapsed = new Uint8Array(this.T.n);
    this.place = new Int32Array(this.T.n); // of each span among the visible rows, -1 if folded away
    this.hits = null;
    this.hitList = [];
    this.pool = [];
    this.width = this.height = 0;
    this.wanted = null; // width of the name column, if the reader chose one
    this.split = 300;
    this.redraw = oncePerFrame(() => this.draw());
    this.build(host, height, ask);
    this.list();
    this.listen();
  }

  on(target, type, act, options = {}) { target.addEventListener(type, act, { signal: this.stop.signal, ...options }); }

  build(host, height, ask) {
    const { T } = this;
    this.root = frame(host, height, this.stop.signal);
    this.scroll = set(h('div', 'tkw-scroll'), { tabindex: 0, role: 'treegrid', 'aria-label': `Spans of trace ${T.meta.id}`, 'aria-readonly': 'true' });
    this.pad = set(h('div', 'tkw-pad'), { role: 'rowgroup' });
    this.scroll.append(this.pad);
    this.mini = new Minimap(this);
    this.ruler = new Ruler(this);
    this.detail = new Detail(this, ask);
    this.live = set(h('div', 'tkw-live'), { 'aria-live': 'polite' });
    this.main = h('div', 'tkw-main');
    const col = h('div', 'tkw-col');
    col.append(this.ruler.el, this.scroll, this.ruler.handle);
    this.main.append(col, this.detail.el);
    this.root.append(this.toolbar(), this.legend());
    if (T.meta.note) this.root.append(h('div', 'tkw-note', T.meta.note));
    this.root.append(this.mini.el, this.main, this.live);
  }

  toolbar() {
    const { T } = this, bar = set(h('div', 'tkw-bar'), { role: 'toolbar', 'aria-label': 'Trace tools' });
    this.query = set(h('input'), { type: 'search', placeholder: 'Find spans ( / )', 'aria-label': 'Find spans by name, service or attribute', spellcheck: 'false', autocomplete: 'off' });
    this.found = set(h('span', 'tkw-dim'), { role: 'status' });
    this.errors = [];
    for (let i = 0; i < T.n; i++) if (T.flags[i] & ERROR) this.errors.push(i);
    bar.append(this.query, this.found);
    if (this.errors.length) bar.append(button(`Next error (${this.errors.length.toLocaleString('en')})`, () => this.step(this.errors, 1), 'e'));
    bar.append(button('Collapse all', () => this.foldAll(true), '['), button('Expand all', () => this.foldAll(false), ']'), button('Whole trace', () => this.look(0, T.end), '0'));
    bar.append(h('span', 'tkw-gap'), h('span', 'tkw-dim', `${T.n.toLocaleString('en')} ${T.n === 1 ? 'span' : 'spans'} · ${duration(T.end)}`));
    return bar;
  }

  legend() {
    const { T } = this, box = h('div', 'tkw-bar tkw-legend');
    this.swatches = T.meta.services.map((service, k) => {
      const item = h('span'), swatch = h('i');
      item.append(swatch, label(service, 60));
      item.title = label(service);
      box.append(item);
      return [swatch, T.meta.slots[k]];
    });
    return box;
  }

  // ---- what is in sight

  /** Visible rows after collapsing: preorder and subEnd make it one pass. */
  list() {
    const { T } = this, rows = new Int32Array(T.n);
    let count = 0;
    this.place.fill(-1);
    for (let i = 0; i < T.n;) {
      this.place[i] = count;
      rows[count++] = i;
      i = this.collapsed[i] ? T.subEnd[i] : i + 1;
    }
    this.rows = rows.subarray(0, count);
    this.pad.style.height = `${count * ROW}px`;
    set(this.scroll, { 'aria-rowcount': count });
    this.refill();
  }

  refill() {
    for (const row of this.pool) row.index = -1;
    this.redraw();
  }

  theme() {
    for (const [swatch, slot] of this.swatches) swatch.style.background = colourOf(slot);
    this.mini.forget();
    this.refill();
  }

  measure() {
    const under = this.root.clientWidth < WIDE;
    this.main.classList.toggle('under', under);
    this.width = this.scroll.clientWidth;
    this.height = this.scroll.clientHeight;
    this.split = this.wanted == null ? Math.max(140, Math.min(360, Math.round(this.width * 0.32))) : Math.max(100, Math.min(this.width - 120, this.wanted));
    this.redraw();
  }

  setSplit(width) {
    this.wanted = width;
    this.measure();
  }

  draw() {
    if (!this.width) return;
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / ROW) - 4), need = Math.ceil(this.height / ROW) + 9;
    while (this.pool.length < need) {
      const row = new Row();
      this.pool.push(row);
      this.pad.append(row.el);
    }
    for (let k = first; k < first + this.pool.length; k++) {
      const row = this.pool[k % this.pool.length], i = this.rows[k];
      if (i === undefined) { row.hide(); continue; }
      if (row.index !== i) row.fill(this, i, k);
      row.place(this, i);
    }
    const shown = this.selected >= 0 && this.pool.some(row => row.index === this.selected);
    set(this.scroll, { 'aria-activedescendant': shown ? `${this.uid}-${this.selected}` : null });
    this.ruler.draw();
    this.mini.draw();
  }

  // ---- moving in time

  look(from, to) {
    const least = Math.max(10, this.T.end * 1e-7);
    if (to - from < least) [from, to] = [(from + to - least) / 2, (from + to + least) / 2];
    const span = Math.min(to - from, this.T.end);
    this.from = Math.max(0, Math.min(from, this.T.end - span));
    this.to = this.from + span;
    this.redraw();
  }

  zoom(factor, at = 0.5) {
    const span = this.to - this.from, centre = this.from + span * at;
    this.look(centre - span * factor * at, centre + span * factor * (1 - at));
  }

  pan(share) {
    const span = this.to - this.from;
    this.look(this.from + span * share, this.to + span * share);
  }

  fit(i) {
    if (i < 0) return;
    const margin = Math.max(0, this.T.dur[i]) * 0.05;
    this.look(this.T.start[i] - margin, finish(this.T, i) + margin);
  }

  // ---- folding, finding, selecting

  fold(i, shut = !this.collapsed[i]) {
    if (!isParent(this.T, i)) return;
    this.collapsed[i] = shut ? 1 : 0;
    this.list();
  }

  /** Fold everything below the roots' children, or nothing. */
  foldAll(shut) {
    for (let i = 0; i < this.T.n; i++) this.collapsed[i] = shut && this.T.depth[i] > 0 && isParent(this.T, i) ? 1 : 0;
    this.list();
    this.scroll.scrollTop = 0;
  }

  reveal(i) {
    const { T } = this, span = this.to - this.from;
    if (finish(T, i) < this.from || T.start[i] > this.to) this.look(T.start[i] - span / 3, T.start[i] + span * 2 / 3);
    let opened = false;
    for (let p = T.parent[i]; p >= 0; p = T.parent[p]) {
      if (this.collapsed[p]) { this.collapsed[p] = 0; opened = true; }
    }
    if (opened) this.list();
    const y = this.place[i] * ROW;
    if (y < this.scroll.scrollTop || y + ROW > this.scroll.scrollTop + this.height) this.scroll.scrollTop = Math.max(0, y - this.height / 2);
  }

  select(i, { quiet = false } = {}) {
    const { T } = this;
    if (!(i >= 0 && i < T.n)) return;
    this.selected = i;
    this.detail.show(i);
    this.measure();
    this.reveal(i);
    this.live.textContent = `${label(T.meta.services[T.svc[i]], 100)} ${label(T.strings[T.name[i]])}, ${spokenRow(T, i)}`;
    this.redraw();
    if (!quiet) this.onSelect?.(i);
  }

  close() {
    this.detail.el.classList.remove('on');
    this.measure();
    this.scroll.focus({ preventScroll: true });
  }

  /** The dictionary first: a thousand texts are searched instead of 100,000 spans. */
  search(words) {
    const { T } = this, wanted = words.trim().toLowerCase();
    this.hits = null;
    this.hitList = [];
    this.found.textContent = '';
    if (wanted) {
      const texts = T.strings.map(text => text.toLowerCase().includes(wanted));
      const services = T.meta.services.map(text => text.toLowerCase().includes(wanted));
      this.hits = new Uint8Array(T.n);
      for (let i = 0; i < T.n; i++) {
        if (services[T.svc[i]] || texts[T.name[i]] || this.matches(i, texts)) {
          this.hits[i] = 1;
          this.hitList.push(i);
        }
      }
      this.found.textContent = `${this.hitList.length.toLocaleString('en')} found${hasDetails(T) ? '' : ' in names'}`;
    }
    this.redraw();
  }

  matches(i, texts) {
    const { T } = this;
    if (!hasDetails(T)) return false;
    for (let j = T.attrOff[i]; j < T.attrOff[i + 1]; j++) if (texts[T.attrK[j]] || texts[T.attrV[j]]) return true;
    return false;
  }

  /** Select the next (or, backwards, the previous) of a list; round and round. */
  step(list, direction) {
    if (!list.length) return;
    const next = direction > 0 ? list.find(i => i > this.selected) ?? list[0] : list.findLast(i => i < this.selected) ?? list[list.length - 1];
    this.select(next);
  }

  move(by) {
    if (!this.rows.length) return;
    const at = this.selected < 0 ? -1 : this.place[this.selected];
    this.select(this.rows[Math.max(0, Math.min(this.rows.length - 1, at + by))]);
  }

  inwards() {
    const i = this.selected;
    if (i < 0) this.move(1);
    else if (isParent(this.T, i)) this.collapsed[i] ? this.fold(i, false) : this.select(i + 1);
  }

  outwards() {
    const i = this.selected;
    if (i < 0) return;
    if (isParent(this.T, i) && !this.collapsed[i]) this.fold(i, true);
    else if (this.T.parent[i] >= 0) this.select(this.T.parent[i]);
  }

  // ---- hands on it

  keys() {
    const page = () => Math.max(1, Math.floor(this.height / ROW) - 1), last = this.T.n;
    return {
      ArrowDown: () => this.move(1), j: () => this.move(1), ArrowUp: () => this.move(-1), k: () => this.move(-1),
      PageDown: () => this.move(page()), PageUp: () => this.move(-page()), Home: () => this.move(-last), End: () => this.move(last),
      ArrowRight: () => this.inwards(), ArrowLeft: () => this.outwards(),
      Enter: () => this.select(Math.max(0, this.selected)), Escape: () => this.close(),
      w: () => this.zoom(0.8), s: () => this.zoom(1.25), a: () => this.pan(-0.1), d: () => this.pan(0.1),
      0: () => this.look(0, this.T.end), f: () => this.fit(this.selected),
      '/': () => this.query.focus(), n: () => this.step(this.hitList, 1), N: () => this.step(this.hitList, -1),
      e: () => this.step(this.errors, 1), E: () => this.step(this.errors, -1),
      '[': () => this.foldAll(true), ']': () => this.foldAll(false),
    };
  }

  listen() {
    const keys = this.keys(), rowAt = e => Number(e.target.closest?.('.tkw-row')?.dataset.row ?? -1);
    this.on(this.scroll, 'keydown', e => {
      if (e.ctrlKey || e.metaKey || e.altKey || !Object.hasOwn(keys, e.key)) return;
      keys[e.key]();
      e.preventDefault();
    });
    this.on(this.detail.el, 'keydown', e => { if (e.key === 'Escape') this.close(); });
    this.on(this.scroll, 'scroll', this.redraw, { passive: true });
    this.on(this.scroll, 'click', e => {
      const i = rowAt(e);
      if (i >= 0) e.target.closest('.tkw-tw') && isParent(this.T, i) ? this.fold(i) : this.select(i);
    });
    this.on(this.scroll, 'dblclick', e => { if (!e.target.closest('.tkw-tw')) this.fit(rowAt(e)); });
    this.on(this.scroll, 'wheel', e => {
      if (!(e.ctrlKey || e.metaKey || e.shiftKey)) return;
      e.preventDefault();
      const left = this.scroll.getBoundingClientRect().left + this.split;
      if (e.shiftKey) this.pan((e.deltaY || e.deltaX) / 1500);
      else this.zoom(Math.exp(e.deltaY / 400), Math.max(0, Math.min(1, (e.clientX - left) / (this.width - this.split))));
    }, { passive: false });
    this.on(this.query, 'input', () => this.search(this.query.value));
    this.on(this.query, 'keydown', e => {
      if (e.key === 'Enter') { this.step(this.hitList, e.shiftKey ? -1 : 1); e.preventDefault(); }
      if (e.key === 'Escape') { this.query.value = ''; this.search(''); this.scroll.focus(); }
    });
    // anywidget renders before the element is in the document: styles can be read only once it has a size
    let themed = false;
    const sized = new ResizeObserver(() => {
      if (!themed && this.root.isConnected) { themed = true; watchTheme(this.root, () => this.theme(), this.stop.signal); }
      this.measure();
    });
    sized.observe(this.root);
    sized.observe(this.scroll);
    this.stop.signal.addEventListener('abort', () => sized.disconnect());
  }

  destroy() {
    this.stop.abort();
    this.root.remove();
  }
}

// ------------------------------------------------------------------------------------------------ 7 service map

/** Boxes and lines as Python laid them out; a click shows one service with its neighbours and their numbers. */
export class ServiceMap {
  /** graph = {size, nodes: [{name, x, y, w, h, sub, say, slot, inferred, bad}], edges: [{a, b, d, w, err, back, tip}]}; a, b: positions in nodes */
  constructor(host, graph, { height = 480, onSelect = null } = {}) {
    this.graph = graph;
    this.onSelect = onSelect;
    this.uid = uniqueName();
    this.stop = new AbortController();
    this.chosen = null;
    this.root = frame(host, height, this.stop.signal);
    this.svg = this.shape('svg', { class: 'tkw-map', role: 'group', 'aria-label': `Service map: ${graph.nodes.length} services, ${graph.edges.length} calls`, preserveAspectRatio: 'xMidYMid meet' }, this.root);
    this.arrows();
    this.edges = graph.edges.map(edge => [edge, this.line(edge)]);
    this.boxes = graph.nodes.map(node => this.box(node));
    this.say = set(h('div', 'tkw-say'), { role: 'status' });
    this.root.append(this.say);
    this.hint();
    this.listen();
  }

  on(target, type, act, options = {}) { target.addEventListener(type, act, { signal: this.stop.signal, ...options }); }

  shape(name, attributes, parent) {
    const e = set(document.createElementNS('http://www.w3.org/2000/svg', name), attributes);
    parent?.append(e);
    return e;
  }

  arrows() {
    const defs = this.shape('defs', {}, this.svg);
    for (const kind of ['', 'err']) { // userSpaceOnUse: else heads grow with the stroke
      const marker = this.shape('marker', { id: `${this.uid}arrow${kind}`, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: 'userSpaceOnUse', orient: 'auto' }, defs);
      this.shape('path', { d: 'M0,0.5L8,4L0,7.5z', class: `arrow ${kind}` }, marker);
    }
  }

  line(edge) {
    const kind = edge.err ? 'err' : '';
    const path = this.shape('path', { class: `e ${kind}`, d: edge.d, 'stroke-width': edge.w, 'stroke-dasharray': edge.back ? '5 3' : null, 'marker-end': `url(#${this.uid}arrow${kind})` }, this.svg);
    this.shape('title', {}, path).textContent = edge.tip;
    return path;
  }

  box(node) {
    const name = label(node.name, 21), group = this.shape('g', { class: `node${node.inferred ? ' guess' : ''}${node.bad ? ' bad' : ''}`, tabindex: 0, role: 'button', 'aria-pressed': 'false', transform: `translate(${node.x - node.w / 2},${node.y - node.h / 2})` }, this.svg);
    this.shape('rect', { class: 'box', width: node.w, height: node.h, rx: 5 }, group);
    node.swatch = this.shape('rect', { width: 5, height: node.h, rx: 2 }, group);
    this.shape('text', { x: 13, y: 15 }, group).textContent = `${name} `; // the name of the button is its text
    this.shape('text', { x: 13, y: 28, class: 'sub' }, group).textContent = node.sub;
    return group; // without a title, which would become the name: the panel below says more
  }

  /** Say the numbers of one service while the pointer rests on it, unless another is in focus. */
  peek(k) {
    if (this.chosen != null) return;
    const { name, say } = this.graph.nodes[k], line = h('div');
    line.append(h('b', '', label(name, 80)), ` ${say}`);
    this.say.replaceChildren(line);
  }

  hint() {
    this.say.replaceChildren(h('div', '', 'Click a service to see its calls. Lines are as thick as they are busy; red ones fail; dashed boxes sent no spans of their own. Ctrl and wheel zoom, drag pans.'));
  }

  /** Dim all but one service (its position) and its neighbours, and say their numbers; null shows everything again. */
  focus(chosen, { quiet = false } = {}) {
    const touches = edge => edge.a === chosen || edge.b === chosen;
    const near = new Set([chosen, ...this.graph.edges.filter(touches).flatMap(edge => [edge.a, edge.b])]);
    this.chosen = chosen;
    this.boxes.forEach((group, k) => {
      group.classList.toggle('far', chosen != null && !near.has(k));
      group.classList.toggle('on', k === chosen);
      set(group, { 'aria-pressed': String(k === chosen) });
    });
    for (const [edge, path] of this.edges) path.classList.toggle('far', chosen != null && !touches(edge));
    if (chosen == null) this.hint();
    else {
      const { name, say } = this.graph.nodes[chosen], head = h('div');
      head.append(h('b', '', label(name, 80)), ` ${say}`);
      this.say.replaceChildren(head, ...this.graph.edges.filter(touches).map(edge => h('div', '', edge.tip)));
    }
    if (!quiet) this.onSelect?.(chosen == null ? '' : this.graph.nodes[chosen].name);
  }

  /** Show all of it, never larger than life. */
  fit() {
    const [w, t] = this.graph.size, wide = this.svg.clientWidth, tall = this.svg.clientHeight;
    if (!wide || !tall) return;
    const scale = Math.min(1, wide / (w + 32), tall / (t + 32));
    this.box_ = { x: w / 2 - wide / scale / 2, y: t / 2 - tall / scale / 2, w: wide / scale, h: tall / scale };
    this.apply();
  }

  apply() {
    const { x, y, w, h: tall } = this.box_;
    set(this.svg, { viewBox: `${x} ${y} ${w} ${tall}` });
  }

  theme() {
    for (const node of this.graph.nodes) node.swatch.style.fill = node.inferred ? 'var(--tk-fg2)' : colourOf(node.slot);
  }

  listen() {
    this.boxes.forEach((group, k) => {
      const turn = () => this.focus(this.chosen === k ? null : k);
      this.on(group, 'click', e => { e.stopPropagation(); turn(); });
      this.on(group, 'pointerenter', () => this.peek(k));
      this.on(group, 'pointerleave', () => { if (this.chosen == null) this.hint(); });
      this.on(group, 'keydown', e => { if (e.key === 'Enter' || e.key === ' ') { turn(); e.preventDefault(); } });
    });
    let grip = null, moved = false;
    this.on(this.svg, 'pointerdown', e => {
      if (e.target !== this.svg || !this.box_) return;
      grip = [e.clientX, e.clientY, this.box_.x, this.box_.y];
      moved = false;
      this.svg.setPointerCapture(e.pointerId);
    });
    this.on(this.svg, 'pointermove', e => {
      if (!grip) return;
      const scale = this.box_.w / this.svg.clientWidth, dx = e.clientX - grip[0], dy = e.clientY - grip[1];
      moved ||= Math.abs(dx) + Math.abs(dy) > 3;
      Object.assign(this.box_, { x: grip[2] - dx * scale, y: grip[3] - dy * scale });
      this.apply();
    });
    for (const end of ['pointerup', 'pointercancel']) this.on(this.svg, end, () => { grip = null; });
    this.on(this.svg, 'click', () => { if (!moved) this.focus(null); });
    this.on(this.svg, 'dblclick', () => this.fit());
    this.on(this.root, 'keydown', e => { if (e.key === 'Escape') this.focus(null); });
    this.on(this.svg, 'wheel', e => {
      if (!(e.ctrlKey || e.metaKey) || !this.box_) return;
      e.preventDefault();
      const view = this.box_, at = this.svg.getBoundingClientRect(), factor = Math.exp(e.deltaY / 400);
      const px = view.x + (e.clientX - at.left) / at.width * view.w, py = view.y + (e.clientY - at.top) / at.height * view.h;
      Object.assign(view, { x: px - (px - view.x) * factor, y: py - (py - view.y) * factor, w: view.w * factor, h: view.h * factor });
      this.apply();
    }, { passive: false });
    let themed = false;
    const sized = new ResizeObserver(() => {
      if (!themed && this.root.isConnected) { themed = true; watchTheme(this.root, () => this.theme(), this.stop.signal); }
      this.fit();
    });
    sized.observe(this.root);
    this.stop.signal.addEventListener('abort', () => sized.disconnect());
  }

  destroy() {
    this.stop.abort();
    this.root.remove();
  }
}

// ------------------------------------------------------------------------------------------------ 8 tables

/** Make a table sortable by its heads, searchable, and short until asked for more; without this it is a plain table. */
export class Table {
  constructor(table) {
    this.table = table;
    this.body = table.tBodies[0];
    this.rows = [...this.body.rows];
    this.short = Number(table.dataset.short) || this.rows.length;
    this.all = false;
    this.wanted = '';
    [...table.tHead.rows[0].cells].forEach((head, column) => this.sortable(head, column));
    if (this.rows.length > 6) this.tools();
    this.show();
  }

  sortable(head, column) {
    const words = head.textContent.trim();
    if (!words) return;
    head.replaceChildren(button(words, () => this.sort(column, head)));
    if (!head.hasAttribute('aria-sort')) set(head, { 'aria-sort': 'none' });
  }

  tools() {
    const bar = h('div', 'tools');
    this.query = set(h('input'), { type: 'search', placeholder: 'Filter rows', 'aria-label': `Filter rows of ${this.table.caption?.textContent ?? 'the table'}`, spellcheck: 'false', autocomplete: 'off' });
    this.count = set(h('span', 'count'), { role: 'status' });
    this.query.addEventListener('input', () => { this.wanted = this.query.value.trim().toLowerCase(); this.show(); });
    bar.append(this.query, this.count);
    this.more = button('', () => { this.all = !this.all; this.show(); });
    this.more.className = 'more';
    const box = this.table.closest('.table') ?? this.table;
    box.before(bar);
    box.after(this.more);
  }

  /** Missing values stand last in either direction; equal ones keep their order. */
  sort(column, head) {
    const number = head.classList.contains('num');
    const down = head.getAttribute('aria-sort') === 'none' ? number : head.getAttribute('aria-sort') === 'ascending';
    const key = row => {
      const cell = row.cells[column], raw = cell.dataset.v ?? cell.textContent.trim();
      return raw === '' ? null : number ? Number(raw) : raw.toLowerCase();
    };
    const compare = (a, b) => (number ? a - b : a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
    const keyed = this.rows.map(row => [key(row), row]);
    keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : compare(a, b)));
    this.rows = keyed.map(([, row]) => row);
    for (const other of this.table.tHead.rows[0].cells) if (other.hasAttribute('aria-sort')) set(other, { 'aria-sort': 'none' });
    set(head, { 'aria-sort': down ? 'descending' : 'ascending' });
    this.body.append(...this.rows);
    this.show();
  }

  show() {
    let fit = 0;
    for (const row of this.rows) {
      const wanted = !this.wanted || row.textContent.toLowerCase().includes(this.wanted);
      row.hidden = !wanted;
      fit += wanted;
      row.classList.toggle('folded', wanted && !this.all && fit > this.short); // folded rows are printed, hidden ones not
    }
    if (!this.count) return;
    this.count.textContent = this.wanted ? `${fit.toLocaleString('en')} of ${this.rows.length.toLocaleString('en')} rows` : '';
    this.more.hidden = fit <= this.short;
    this.more.textContent = this.all ? `Show the first ${this.short}` : `Show all ${fit.toLocaleString('en')} rows`;
  }
}

// ------------------------------------------------------------------------------------------------ 9 notebook

/** The entry point of anywidget: draw the model, keep `selected` the same on both sides. */
function render({ model, el }) {
  const choose = value => { model.set('selected', value); model.save_changes(); };
  const height = model.get('height');
  if (model.get('graph')) {
    const map = new ServiceMap(el, JSON.parse(model.get('graph')), { height, onSelect: choose });
    const follow = () => {
      const at = map.graph.nodes.findIndex(node => node.name === model.get('selected'));
      if (at !== (map.chosen ?? -1)) map.focus(at < 0 ? null : at, { quiet: true });
    };
    model.on('change:selected', follow);
    follow();
    return () => { model.off('change:selected', follow); map.destroy(); };
  }
  const waiting = new Map();
  const answer = (content, buffers) => {
    if (content?.kind !== 'details' || !waiting.has(content.row)) return;
    waiting.get(content.row)(decode(buffers[0]));
    waiting.delete(content.row);
  };
  const ask = (row, take) => { waiting.set(row, take); model.send({ kind: 'details', row }); };
  const waterfall = new Waterfall(el, decode(model.get('data')), { height, onSelect: choose, ask });
  const follow = () => { const i = model.get('selected'); if (i >= 0 && i !== waterfall.selected) waterfall.select(i, { quiet: true }); };
  model.on('change:selected', follow);
  model.on('msg:custom', answer);
  follow();
  return () => { model.off('change:selected', follow); model.off('msg:custom', answer); waterfall.destroy(); };
}

export default { render };

// ------------------------------------------------------------------------------------------------ 10 report

/** base64, of gzip or not, to bytes. */
export async function inflate(text) {
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), c => c.charCodeAt(0));
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.buffer;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}

/** Draw one embedded view in place of its still picture; if that fails the picture stays and the reason is said. */
async function mount(script, host) {
  try {
    const raw = await inflate(script.textContent.trim()), options = { height: Number(script.dataset.height) || 480 };
    if (script.dataset.view === 'map') new ServiceMap(host, JSON.parse(new TextDecoder().decode(raw)), options);
    else new Waterfall(host, decode(raw), options);
    host.classList.add('live');
  } catch (reason) {
    host.append(h('p', 'failed', `The interactive view could not be drawn (${reason.message}); this is its still picture.`));
  }
  host.dataset.done = '1';
}

/** Turn the page's theme round; it starts with what the system prefers. */
function themeSwitch(doc) {
  const place = doc.querySelector('[data-theme-switch]');
  if (!place) return;
  const words = () => (isDark() ? 'Light' : 'Dark');
  const turn = button(words(), () => {
    doc.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
    turn.textContent = words();
  }, 'Change between light and dark');
  place.append(turn);
}

/** Mark in the table of contents where the reader is. */
function follow(doc) {
  const links = new Map([...doc.querySelectorAll('nav a[href^="#"]')].map(link => [link.hash.slice(1), link]));
  const here = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute('aria-current');
      set(links.get(target.id), { 'aria-current': 'true' });
    }
  }, { rootMargin: '-10% 0px -75% 0px' });
  for (const id of links.keys()) {
    const section = doc.getElementById(id);
    if (section) here.observe(section);
  }
}

/** Bring a report to life: tables at once, views when they come near. */
export function bootStatic(doc = document) {
  themeSwitch(doc);
  for (const table of doc.querySelectorAll('table[data-sortable]')) new Table(table);
  follow(doc);
  const scripts = new Map([...doc.querySelectorAll('script[type="application/x-tracekit"]')].map(s => [doc.getElementById(s.dataset.for), s]));
  const near = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      mount(scripts.get(target), target);
    }
  }, { rootMargin: '800px 0px' });
  for (const host of scripts.keys()) near.observe(host);
  doc.documentElement.dataset.tkReady = '1';
}
