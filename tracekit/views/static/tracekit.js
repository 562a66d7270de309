// tracekit.js: the front end in one ECMAScript module: no imports, no build step, no network requests.
//
// The same text runs as an anywidget (`export default {render}`) and inline in the offline report (`bootStatic()`).
// Rules for security and robustness:
//   - text only through textContent and fillText, style only through CSSOM and constructed sheets, so that a content
//     security policy of hashes is sufficient and no name can become markup;
//   - loading the module does not touch the document;
//   - key events do not leave a view (notebook shortcuts); the plain mouse wheel always scrolls the page.
//
// Shared: 1 style · 2 elements · 3 words · 4 theme · 5 view · 6 data
// Views: 7 waterfall · 8 service map · 9 canvas · 10 heat map · 11 flame · 12 tables
// Hosts: 13 notebook · 14 report

// ------------------------------------------------------------------------------------------------ 1 style

const ROW = 22; // height of the content of a row
const ROWS = [22, 28, 18]; // selectable row heights: normal, comfortable, compact
const HEAD = 24; // height of the time axis
const MINI = 44; // height of the overview
const LANE = 16; // height of the critical path over time
const INDENT = 10; // per level
const DEEPEST = 14; // levels that are indented
const WIDE = 700; // below this width the detail pane is under the rows
const LEGIBLE = 0.75; // minimum scale of a service map in a narrow view
const TIGHT = { below: 190, indent: 4 }; // a narrow name column shows operations only; services keep their colour
const SPARE = 4; // rows rendered above and below the visible ones
const LETTER = 6.1; // mean width of a letter of 11 px
const EDGE = 4; // pixels that clipped bars extend beyond the visible area
const FARTHEST = 20000; // pixels; browsers draw wider boxes inexactly
const TICK = 110; // approximate distance of axis labels in pixels
const ZOOM = { key: 1.25, wheel: 400 }; // factor per key press; wheel pixels for a factor of e
const PAN = { key: 0.1, wheel: 1500 }; // share of the visible range per key press; wheel pixels for all of it
const REST = 150; // ms without a change before the kernel is notified

// Equal to colours.py (tested): the same index has the same hue in both themes.
export const LIGHT = ['#0094e7', '#c48700', '#00a679', '#7a4964', '#2d78a3', '#753400', '#908a3c', '#5b32a8', '#4e382b', '#8695a6'];
export const DARK = ['#0094e7', '#ffb000', '#00cd95', '#e077b2', '#7ed1ff', '#aa4b00', '#c0b851', '#79579f', '#8c644d', '#606a77'];
const HEAT = { light: ['#dcebfa', '#b3d4f5', '#7fb5ea', '#4a90d9', '#1f68b8', '#0b3f7d'], dark: ['#16324f', '#1d4b7c', '#2a6db0', '#4a93dc', '#86bdf2', '#d6e9fc'] };

// --tk-page-* is set by the report, --jp-* by JupyterLab, --vscode-* by VS Code; --tk-own-* is the fallback.
const CSS = `
.tkw{--tk-own-bg:#fff;--tk-own-bg2:#f0f1f3;--tk-own-fg:#1c1e21;--tk-own-fg2:#5c6370;--tk-own-line:#dcdfe3;--tk-own-acc:#1976d2;--tk-own-err:#d32f2f;
--tk-bg:var(--tk-page-bg,var(--jp-layout-color0,var(--vscode-editor-background,var(--tk-own-bg))));
--tk-bg2:var(--tk-page-bg2,var(--jp-layout-color2,var(--vscode-editorWidget-background,var(--tk-own-bg2))));
--tk-fg:var(--tk-page-fg,var(--jp-ui-font-color1,var(--vscode-editor-foreground,var(--tk-own-fg))));
--tk-fg2:var(--tk-page-fg2,var(--jp-ui-font-color2,var(--vscode-descriptionForeground,var(--tk-own-fg2))));
--tk-line:var(--tk-page-line,var(--jp-border-color2,var(--vscode-panel-border,var(--tk-own-line))));
--tk-acc:var(--tk-page-acc,var(--jp-brand-color1,var(--vscode-focusBorder,var(--tk-own-acc))));
--tk-err:var(--tk-page-err,var(--jp-error-color1,var(--tk-own-err)));--tk-hit:#ffd54a;--tk-hit-fg:#000;--tk-crit:#000;
--tk-code:var(--jp-code-font-family,ui-monospace,SFMono-Regular,Menlo,Consolas,monospace);
font:12px/1.35 var(--tk-page-font,var(--jp-ui-font-family,system-ui,-apple-system,"Segoe UI",sans-serif));color:var(--tk-fg);background:var(--tk-bg);
border:1px solid var(--tk-line);border-radius:6px;display:flex;flex-direction:column;overflow:hidden;position:relative;box-sizing:border-box;width:100%;text-align:left}
.tkw.tk-dark{--tk-own-bg:#16181d;--tk-own-bg2:#23262d;--tk-own-fg:#e4e6ea;--tk-own-fg2:#a3a9b3;--tk-own-line:#3a3f48;--tk-own-acc:#64b5f6;--tk-own-err:#ff6b6b;--tk-hit:#b58900;--tk-crit:#fff}
.tkw *{box-sizing:border-box}
.tkw-probe{position:absolute;width:1px;height:1px;opacity:0;pointer-events:none;background-color:var(--tk-bg);transition:background-color 1ms}
.tkw-bar{display:flex;gap:6px 8px;align-items:center;padding:5px 8px;border-bottom:1px solid var(--tk-line);flex-wrap:wrap;flex:none}
.tkw-bar input,.tkw-bar select,.tkw-bar button,.tkw-det button{font:inherit;color:inherit;background:var(--tk-bg);border:1px solid var(--tk-line);border-radius:4px;padding:2px 8px;margin:0}
.tkw-bar input{width:190px}.tkw-bar button,.tkw-det button,.tkw-bar select{cursor:pointer}.tkw-bar select{padding:2px 4px}
.tkw-bar button[aria-pressed=true]{background:color-mix(in srgb,var(--tk-acc) 16%,var(--tk-bg));border-color:var(--tk-acc)}
.tkw-bar button:hover,.tkw-det button:hover{background:var(--tk-bg2)}
.tkw input:focus-visible,.tkw select:focus-visible,.tkw button:focus-visible,.tkw canvas:focus-visible,.tkw-det:focus-visible,.tkw-say:focus-visible,.tkw-code:focus-visible{outline:2px solid var(--tk-acc);outline-offset:-1px}
.tkw-bar b{font-weight:600}.tkw-bar button:disabled{opacity:.45;cursor:default}
.tkw-gap{flex:1}.tkw-dim{color:var(--tk-fg2);font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tkw-legend{gap:2px 4px;max-height:64px;overflow:auto;padding:3px 4px}
.tkw-legend i{display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:5px}
.tkw-legend button{border-color:transparent;color:var(--tk-fg2);padding:1px 6px;max-width:220px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;unicode-bidi:isolate}
.tkw-legend button[aria-pressed=true]{color:var(--tk-fg)}
.tkw-mini{display:block;width:100%;height:${MINI}px;border-bottom:1px solid var(--tk-line);cursor:col-resize;touch-action:none;flex:none}
.tkw-main{display:flex;flex:1;min-height:0;position:relative}
.tkw-main.under{flex-direction:column}
.tkw-col{flex:1;min-width:0;min-height:0;display:flex;flex-direction:column;position:relative}
.tkw-head{height:${HEAD}px;position:relative;border-bottom:1px solid var(--tk-line);background:var(--tk-bg2);flex:none;overflow:hidden;cursor:ew-resize;touch-action:none;user-select:none}
.tkw-head span{position:absolute;top:4px;white-space:nowrap;color:var(--tk-fg2);font-variant-numeric:tabular-nums;padding-left:4px;border-left:1px solid var(--tk-line)}
.tkw-head b{position:absolute;left:0;top:0;bottom:0;padding:4px 8px;font-weight:600;background:var(--tk-bg2);overflow:hidden;white-space:nowrap;text-overflow:ellipsis;cursor:default}
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
.tkw-svc{font-weight:600;border-left:3px solid;padding-left:5px;margin-right:6px;unicode-bidi:isolate}.tkw-nm{margin-right:6px;unicode-bidi:isolate}
.tkw-tight .tkw-svc{display:inline-block;width:3px;height:12px;padding:0;margin-right:5px;overflow:hidden;vertical-align:-2px}
.tkw-mark{color:var(--tk-err);font-weight:700;margin-right:4px}.tkw-mark.soft{color:var(--tk-fg2);font-weight:400;font-style:italic}
.tkw-line{position:absolute;top:0;bottom:0;right:0;overflow:hidden}
${ROWS.slice(1).map(row => `.tkw-rows${row} .tkw-row{height:${row}px}.tkw-rows${row} .tkw-lab{line-height:${row - 1}px}.tkw-rows${row} .tkw-line{top:${(row - ROW) / 2}px;bottom:auto;height:${ROW}px}`).join('')}
.tkw-b{position:absolute;left:0;top:5px;height:11px;border-radius:2px;min-width:2px;transform-origin:0 0}
.tkw-b.err{box-shadow:inset 0 0 0 1.5px var(--tk-err)}
.tkw-b.open{-webkit-mask-image:linear-gradient(90deg,#000 55%,transparent);mask-image:linear-gradient(90deg,#000 55%,transparent);border-radius:2px 0 0 2px}
.tkw-b.unbegun{-webkit-mask-image:linear-gradient(270deg,#000 55%,transparent);mask-image:linear-gradient(270deg,#000 55%,transparent)}
.tkw-b.guess{opacity:.55}
.tkw-b.linked::before{content:"";position:absolute;left:-3px;top:2px;width:7px;height:7px;transform:rotate(45deg);background:var(--tk-bg);border:1.5px solid var(--tk-fg)}
.tkw-b.hull{opacity:.22}.tkw-b.gone{background:none;border:1.5px dashed}.tkw-b.new{outline:1.5px solid var(--tk-fg);outline-offset:1px}
.tkw-row.fold .tkw-nm{font-style:italic}.tkw-row.changed .tkw-mark.soft,.tkw-row.better .tkw-mark.soft{display:inline-block;line-height:14px;color:var(--tk-fg);font-style:normal;font-size:10.5px;border:1px solid var(--tk-line);border-radius:8px;padding:0 5px;background:var(--tk-bg)}.tkw-row.off .tkw-b{opacity:.4}.tkw-row.off .tkw-b.hull{opacity:.15}.tkw-row.off .tkw-m{opacity:.5}
.tkw-m,.tkw-p,.tkw-ev,.tkw-was{position:absolute;left:0;pointer-events:none}
.tkw-m{top:5px;height:11px}.tkw-was{top:17px;height:3px;background:var(--tk-fg2);border-radius:1px}
.tkw-p{top:9px;height:3px;background:var(--tk-crit);box-shadow:0 0 0 1px color-mix(in srgb,var(--tk-bg) 70%,transparent)}
.tkw-ev{top:2px;height:17px;min-width:2px;max-width:2px;background:var(--tk-fg);box-shadow:0 0 0 1px var(--tk-bg);pointer-events:auto}
.tkw-lane{height:${LANE}px;position:relative;border-bottom:1px solid var(--tk-line);flex:none;overflow:hidden;line-height:${LANE}px}.tkw-lane[hidden]{display:none}
.tkw-lane b{position:absolute;left:0;top:0;bottom:0;padding:0 8px;font-weight:400;font-size:11px;color:var(--tk-fg2);overflow:hidden;white-space:nowrap;text-overflow:ellipsis}
.tkw-lane canvas{position:absolute;top:0;height:${LANE}px;cursor:pointer}
.tkw-d.boxed{background:color-mix(in srgb,var(--tk-bg) 85%,transparent);padding:0 3px;border-radius:2px;line-height:17px;top:2px;color:var(--tk-fg)}
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
.tkw-v{position:relative}.tkw-det .tkw-v button{position:absolute;right:0;top:0;font-size:10px;line-height:13px;padding:0 5px;color:var(--tk-fg2);opacity:0}.tkw-v:hover button,.tkw-v button:focus-visible{opacity:1}
.tkw-kin{display:flex;flex-direction:column;gap:4px;margin-top:10px}.tkw-kin button{display:flex;max-width:100%}.tkw-kin button>span{overflow:hidden;text-overflow:ellipsis;white-space:pre}.tkw-kin button>span+span{flex:none;max-width:70%}
.tkw-acts{display:flex;gap:8px;margin-top:12px}
.tkw-live{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.tkw-about{margin:4px 0 0;font:12px/1.4 system-ui,sans-serif}
.tkw-note{padding:4px 8px;border-bottom:1px solid var(--tk-line);color:var(--tk-fg2);flex:none}
.tkw-map+.tkw-say{height:64px}.tkw-map{flex:1;min-height:0;width:100%;touch-action:pan-y;cursor:grab;display:block}
.tkw-map text{fill:var(--tk-fg);font-size:12px;font-weight:600}.tkw-map .sub{fill:var(--tk-fg2);font-size:10.5px;font-weight:400;font-variant-numeric:tabular-nums}
.tkw-map .node{cursor:pointer;outline:none}.tkw-map .box{fill:var(--tk-bg);stroke:var(--tk-line);stroke-width:1.25}.tkw-map .guess .box{stroke-dasharray:4 3;stroke:var(--tk-fg2)}
.tkw-map .node:hover .box{fill:var(--tk-bg2)}.tkw-map .node:focus-visible .box,.tkw-map .on .box{stroke:var(--tk-acc);stroke-width:2.5}
.tkw-map .bad .sub{fill:var(--tk-err)}.tkw-map .new .box{stroke:var(--tk-acc)}.tkw-map .gone .box{stroke-dasharray:4 3;stroke:var(--tk-fg2)}
.tkw-map .e{fill:none;stroke:var(--tk-fg2);opacity:.55}.tkw-map .e.err{stroke:var(--tk-err);opacity:.85}.tkw-map .arrow{fill:var(--tk-fg2)}.tkw-map .arrow.err{fill:var(--tk-err)}.tkw-map .e.new{stroke:var(--tk-acc);opacity:.85}.tkw-map .arrow.new{fill:var(--tk-acc)}
.tkw-map .far{opacity:.16}.tkw-map .e.far{opacity:.08}
.tkw-say{border-top:1px solid var(--tk-line);padding:6px 10px;flex:none;min-height:44px;max-height:72px;overflow:auto;color:var(--tk-fg2);overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.tkw-say b,.tkw-tip b{color:var(--tk-fg);font-weight:600;unicode-bidi:isolate}
.tkw-pane{flex:1;min-height:0;overflow-y:auto;overflow-x:hidden;position:relative}
.tkw-pane canvas{display:block;position:sticky;top:0;touch-action:pan-y}
.tkw-tip{position:absolute;z-index:3;pointer-events:none;max-width:min(420px,90%);background:var(--tk-bg);border:1px solid var(--tk-line);border-radius:4px;padding:4px 8px;box-shadow:0 2px 8px #0003;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.tkw-tip b{display:block}
.tkw-key{display:inline-block;width:9px;height:9px;border-radius:2px;margin:0 4px 0 8px}
@media (forced-colors:active){.tkw-b{forced-color-adjust:none}}
`;

const styled = new WeakSet();

/** Add the style sheet to the document of `el`, and to its shadow root if it has one. */
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

/** Create an element with a class and text. */
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

/** Create a button; its tooltip names the equivalent key. */
function button(words, act, title) {
  const e = h('button', '', words);
  e.type = 'button';
  if (title) e.title = title;
  e.onclick = act;
  return e;
}

/** Create a toggle button. */
function toggle(words, act, title, on) {
  return set(button(words, act, title), { 'aria-pressed': String(on) });
}

/** Make a region reachable by keyboard while its content is larger than the region. */
function reach(box, signal = null) {
  const check = () => {
    if (box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute('tabindex');
  };
  const sized = new ResizeObserver(check), changed = new MutationObserver(check);
  sized.observe(box);
  changed.observe(box, { childList: true, characterData: true, subtree: true });
  signal?.addEventListener('abort', () => { sized.disconnect(); changed.disconnect(); });
}

// ------------------------------------------------------------------------------------------------ 3 words

const UNITS = [[1, 'ns'], [1e3, 'µs'], [1e6, 'ms'], [1e9, 's']];

/** Format a duration with three significant digits and a unit, like text.duration. */
export function duration(ns) {
  if (!Number.isFinite(ns)) return '–';
  const size = Math.abs(ns);
  let step = size >= 1e9 ? 3 : size >= 1e6 ? 2 : size >= 1e3 ? 1 : 0;
  if (step < 3 && Number(digits(size / UNITS[step][0])) >= 1000) step++;
  if (step === 0 && Number.isInteger(ns)) return `${ns} ns`;
  return `${ns < 0 ? '-' : ''}${digits(size / UNITS[step][0]).replace(/\B(?=(\d{3})+$)/g, ',')} ${UNITS[step][1]}`;
}

function digits(value) {
  for (const [places, below] of [[2, 10], [1, 100]]) {
    const short = value.toFixed(places);
    if (Number(short) < below) return short;
  }
  return value.toFixed(0);
}

/** Format a duration without trailing zeros, for axis labels. */
const tickLabel = ns => (ns === 0 ? '0' : duration(ns).replace(/(\.\d*?)0+(?= )/, '$1').replace(/\.(?= )/, ''));

/** Return round times (1, 2 or 5 times a power of ten) between two, about as many as wanted. */
export function ticks(from, to, wanted) {
  const rough = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(m => m * power >= rough * 0.999) * power;
  const out = [];
  for (let k = Math.ceil(from / step); k * step < to; k++) out.push(k * step);
  return out;
}

/** Format a ratio as a percentage, like text.ratio: only 0 and 1 themselves are shown as 0% and 100%. */
export function percent(share) {
  if (!Number.isFinite(share)) return '–';
  const value = share * 100;
  if (value < 0) return `-${percent(-share)}`;
  if (value === 0 || value === 100) return `${value}%`;
  if (value < 0.01) return '<0.01%';
  return value > 99.9 && value < 100 ? '>99.9%' : `${value.toFixed(value < 1 ? 2 : 1)}%`;
}

/** Join a baseline and a current figure, like text.from_to: the unit once where both have it. */
export function fromTo(before, now) {
  const [unit, other] = [before, now].map(words => /^[+-]?[\d,.]+( \D*)$/.exec(words)?.[1] ?? '');
  return `${unit === other ? before.slice(0, before.length - unit.length) : before} → ${now}`;
}

const signed = ns => `${ns < 0 ? '' : '+'}${duration(ns)}`;
const count = number => Math.round(number).toLocaleString('en');
const many = (number, one) => `${count(number)} ${one}${Math.round(number) === 1 ? '' : 's'}`;
const clip = (value, low, high) => Math.min(high, Math.max(low, value));
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

const hexColour = parts => `#${parts.map(part => Math.round(part).toString(16).padStart(2, '0')).join('')}`;

/** Return the text colour on a bar: black above a relative luminance of 0.18, else white. */
function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map(k => parseInt(colour.slice(k, k + 2), 16) / 255).map(c => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? '#000' : '#fff';
}

// ------------------------------------------------------------------------------------------------ 5 view

let views = 0; // number of views so far, for unique ids
const PAINTS = ['bg', 'fg', 'fg2', 'line', 'acc', 'err', 'hit']; // theme colours for canvases, which style sheets do not reach

/** Return whether the page is used by touch. */
const isTouch = () => matchMedia('(pointer: coarse)').matches;

/** A themed container that blocks notebook shortcuts and follows changes of its size and of the page's theme. */
class View {
  constructor(host, height) {
    style(host);
    this.stop = new AbortController();
    this.uid = `tk${++views}`;
    this.root = h('div', 'tkw');
    this.root.style.height = `${height}px`;
    this.root.dataset.lmSuppressShortcuts = 'true'; // JupyterLab looks for this in the capture phase
    this.on(this.root, 'keydown', e => e.stopPropagation()); // others listen in the bubble phase
    host.append(this.root);
  }

  // hooks of subclasses: layout, colours, one frame
  measure() { this.redraw(); }
  theme() { this.redraw(); }
  draw() {}

  /** Return the colour of a service in the current theme. */
  colourOf(slot) { return (this.isDark ? DARK : LIGHT)[slot % LIGHT.length]; }

  on(target, type, act, options = {}) { target.addEventListener(type, act, { signal: this.stop.signal, ...options }); }

  /**
   * Draw once in the next frame.  JupyterLab hides all outputs for a frame when its theme changes: a view without a
   * size is drawn one frame later.
   */
  redraw() {
    if (this.isDue || this.stop.signal.aborted) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      const wasHidden = this.isHidden;
      this.isDue = false;
      this.isHidden = !this.root.clientWidth;
      if (this.stop.signal.aborted) return;
      if (!this.paints) this.retheme(); // requested before the first resize event
      if (!this.isHidden) this.draw();
      else if (!wasHidden) this.redraw(); // if it stays hidden, a resize event follows when it is shown
    });
  }

  /** Observe size and theme from now on; anywidget renders before the host is in the page, where both are unknown. */
  follow(...boxes) {
    const { signal } = this.stop, probe = set(h('i', 'tkw-probe'), { 'aria-hidden': 'true' });
    const themed = new MutationObserver(() => this.retheme()), sized = new ResizeObserver(() => {
      this.retheme();
      this.measure();
    });
    const attributeFilter = ['data-jp-theme-light', 'data-jp-theme-name', 'data-theme', 'theme', 'class'];
    for (const place of [document.body, document.documentElement]) themed.observe(place, { attributes: true, attributeFilter });
    for (const box of [this.root, ...boxes]) sized.observe(box);
    this.on(matchMedia('(prefers-color-scheme: dark)'), 'change', () => this.retheme());
    this.on(document, 'load', () => this.retheme(), { capture: true }); // a style sheet that loads late
    this.on(probe, 'transitionend', () => this.retheme()); // a variable that is set late
    this.root.append(probe);
    signal.addEventListener('abort', () => { themed.disconnect(); sized.disconnect(); });
  }

  /** Apply the colours of the page if they have changed. */
  retheme() {
    if (!this.root.isConnected) return;
    this.isDark = isDark();
    this.root.classList.toggle('tk-dark', this.isDark);
    const now = getComputedStyle(this.root), paints = Object.fromEntries(PAINTS.map(name => [name, now.getPropertyValue(`--tk-${name}`).trim()]));
    const seen = [this.isDark, ...Object.values(paints)].join();
    if (seen === this.seen) return;
    Object.assign(this, { seen, paints, font: now.fontFamily });
    this.theme();
  }

  destroy() {
    this.stop.abort();
    this.root.remove();
  }
}

// ------------------------------------------------------------------------------------------------ 6 data

const TYPES = { f8: Float64Array, f4: Float32Array, i4: Int32Array, u4: Uint32Array, u2: Uint16Array, u1: Uint8Array };
const ERROR = 1, NO_END = 2, NO_START = 4, INFERRED = 8, ORPHAN = 16, LINKED = 32; // bits of `flags`; see waterfall/payload.py
const MATCHED = 0, ADDED = 1, MISSING = 2, SLOWER = 3, FASTER = 4; // `state` of a comparison; see waterfall/compare.py
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
    table[name] = type[0] === 's' ? woven(bytes.subarray(first - bytes.byteOffset + offset), Number(type[1]), count) : new TYPES[type](bytes.buffer, first + offset, count);
  }
  for (const name of Object.keys(head.cols)) if (/[a-z]N$/.test(name)) table[name.replace(/N$/, 'Off')] = offsets(table[name]);
  return table;
}

/** Read integers stored as byte planes (all first bytes, then all second bytes, ...), which compress better. */
function woven(bytes, size, count) {
  const out = new TYPES[`u${size}`](count);
  for (let k = 0; k < size; k++) for (let i = 0, at = k * count; i < count; i++) out[i] += bytes[at + i] * 2 ** (8 * k);
  return out;
}

/** Return start offsets from counts: columns ...N become ...Off. */
function offsets(counts) {
  const out = new Uint32Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) out[i + 1] = out[i] + counts[i];
  return out;
}

/** Return the columns of a trace with derived data: tree, time range, critical path, folds. */
function traceOf(table) {
  const T = Object.assign(Object.create(null), table);
  T.n = table.start.length;
  T.recorded = { start: table.start, start2: table.start2 };
  Object.assign(T, shapeOf(T.depth), rangeOf(T));
  T.path = pathOf(T);
  if (![T.shift, T.shift2].some(shifts => shifts?.some(moved => moved))) T.shift = T.shift2 = null; // no correction to toggle
  T.folds = foldsOf(T);
  return T;
}

/** Return the time range: from 0, or earlier if skew correction moves a span there. */
function rangeOf(T) {
  let begin = 0, end = 1;
  for (const [start, dur] of [[T.start, T.dur], [T.start2, T.dur2]]) {
    if (!start) continue;
    for (let i = 0; i < T.n; i++) {
      begin = Math.min(begin, start[i]);
      end = Math.max(end, start[i] + dur[i]);
    }
  }
  return { begin, end };
}

/** Use recorded times, or times with clock skew corrected, in both traces of a comparison. */
function correctClocks(T, isCorrected) {
  const moved = (start, shift) => (isCorrected && shift ? Float64Array.from(start, (time, i) => time + shift[i]) : start);
  T.isCorrected = isCorrected;
  T.start = moved(T.recorded.start, T.shift);
  T.start2 = moved(T.recorded.start2, T.shift2);
  T.folds.facts.clear();
  Object.assign(T, rangeOf(T));
}

/** Return the skew correction of a row as text; empty if its spans do not move. */
function movedWords(T, i) {
  if (!T.shift) return '';
  return [T.shift[i] && `skew-corrected by ${signed(T.shift[i])}`, isPair(T, i) && T.shift2[i] && `${sideName(T)} skew-corrected by ${signed(T.shift2[i])}`].filter(Boolean).join(', ');
}

/** Return the parent of each row and the row after its last descendant, from the depths of rows in preorder. */
function shapeOf(depth) {
  const n = depth.length, parent = new Int32Array(n), subEnd = new Int32Array(n), above = new Int32Array(n + 1).fill(-1);
  for (let i = 0; i < n; i++) {
    parent[i] = above[depth[i]];
    above[depth[i] + 1] = i;
  }
  for (let i = n - 1; i >= 0; i--) {
    subEnd[i] = Math.max(subEnd[i], i + 1);
    if (parent[i] >= 0) subEnd[parent[i]] = Math.max(subEnd[parent[i]], subEnd[i]);
  }
  return { parent, subEnd };
}

/** Return the critical path: segments in order of time, and by row; a row of -1 is time that no span covers. */
function pathOf(T) {
  if (!T.critRow) return null;
  const { critRow: row, critS, critE } = T, first = new Uint32Array(T.n + 1), sum = new Float64Array(T.n + 1);
  let total = 0, gap = 0;
  for (let k = 0; k < row.length; k++) {
    const took = critE[k] - critS[k];
    total += took;
    if (row[k] < 0) gap += took;
    else { first[row[k] + 1]++; sum[row[k] + 1] += took; }
  }
  for (let i = 0; i < T.n; i++) { first[i + 1] += first[i]; sum[i + 1] += sum[i]; }
  const next = first.slice(), of = new Uint32Array(row.length);
  for (let k = 0; k < row.length; k++) if (row[k] >= 0) of[next[row[k]]++] = k;
  return { first, of, total, gap, own: i => sum[i + 1] - sum[i], whole: i => sum[T.subEnd[i]] - sum[i] };
}

const FOLD_FROM = 5; // number of equal siblings that are folded into one row

/** Group five or more siblings of one service and name: the rows of each fold, and the fold of each row or -1. */
function foldsOf(T) {
  const of = new Int32Array(T.n).fill(-1), siblings = new Uint32Array(T.n), found = new Map();
  for (let i = 0; i < T.n; i++) if (T.parent[i] >= 0) siblings[T.parent[i]]++;
  for (let i = 0; i < T.n; i++) {
    const parent = T.parent[i];
    if (parent < 0 || siblings[parent] < FOLD_FROM) continue;
    const key = (parent * T.meta.services.length + T.svc[i]) * T.strings.length + T.name[i];
    if (found.has(key)) found.get(key).push(i);
    else found.set(key, [i]);
  }
  const members = [...found.values()].filter(rows => rows.length >= FOLD_FROM);
  members.forEach((rows, g) => { for (const i of rows) of[i] = g; });
  return { of, members, facts: new Map() };
}

/** Return count, total, p50, max, errors and critical-path time of a fold; computed when it is first visible. */
function foldFacts(T, g) {
  const known = T.folds.facts.get(g);
  if (known) return known;
  const rows = T.folds.members[g], here = rows.filter(i => !isGone(T, i)), before = T.state ? rows.filter(i => T.state[i] !== ADDED) : [];
  const took = Float64Array.from(here, i => Math.max(0, T.dur[i])).sort();
  const facts = {
    count: here.length,
    total: took.reduce((a, b) => a + b, 0),
    p50: took[Math.ceil(took.length / 2) - 1], // undefined if all are missing
    max: took[took.length - 1],
    errors: rows.filter(i => T.flags[i] & ERROR).length,
    path: T.path ? rows.reduce((sum, i) => sum + T.path.whole(i), 0) : 0,
    slowest: rows.reduce((best, i) => (T.dur[i] > T.dur[best] ? i : best)),
    from: rows.reduce((least, i) => Math.min(least, T.start[i]), Infinity),
    to: rows.reduce((most, i) => Math.max(most, finish(T, i)), 0),
    before: before.length,
    totalBefore: before.reduce((sum, i) => sum + Math.max(0, T.dur2[i]), 0),
  };
  T.folds.facts.set(g, facts);
  return facts;
}

const isGone = (T, i) => !!T.state && T.state[i] === MISSING; // drawn with the baseline's times
const finish = (T, i) => T.start[i] + Math.max(0, isGone(T, i) ? T.dur2[i] : T.dur[i]);
const sideName = T => T.meta.names[0]; // of the baseline, in a comparison
const isPair = (T, i) => !!T.state && T.state[i] !== ADDED && !isGone(T, i); // a span in both traces
const isParent = (T, i) => T.subEnd[i] > i + 1;
const hasDetails = T => T.attrOff !== undefined;

/** Return the duration label of a row: baseline -> current in a comparison; a missing start or end as text. */
function timeWords(T, i) {
  if (T.flags[i] & NO_START) return 'no start';
  if (T.flags[i] & NO_END) return 'no end';
  if (!T.state) return duration(T.dur[i]);
  if (T.state[i] === MATCHED) return pairWords(T, i);
  if (T.state[i] === ADDED) return `${duration(T.dur[i])}, added`;
  if (T.state[i] === MISSING) return `missing, ${sideName(T)} ${duration(T.dur2[i])}`;
  return `${pairWords(T, i)}, ${T.state[i] === SLOWER ? 'slower' : 'faster'} (${signed(T.dur[i] - T.dur2[i])})`;
}

const pairWords = (T, i) => fromTo(duration(T.dur2[i]), duration(T.dur[i]));

/** Return the number of calls; baseline -> current where they differ. */
function callWords(T, { count: calls, before }) {
  return `${T.state && before !== calls ? `${count(before)} → ` : ''}${count(calls)} ×`;
}

function foldWords(T, g) {
  const facts = foldFacts(T, g), { total, p50, max, path } = facts, whole = T.state ? fromTo(duration(facts.totalBefore), duration(total)) : duration(total);
  const share = T.path ? `, ${percent(path / T.path.total)} of the critical path` : '';
  return `${callWords(T, facts)}, total ${whole}, p50 ${duration(p50)}, max ${duration(max)}${share}`;
}

/** Return the self time of a span as analysis.self_time defines it; undefined where it is unknown. */
function selfTime(T, i) {
  const unknown = k => T.flags[k] & (NO_START | NO_END | INFERRED) || T.dur[k] < 0 || isGone(T, k);
  if (unknown(i)) return undefined;
  const to = finish(T, i), inside = [];
  let own = to - T.start[i], reached = T.start[i], isSorted = true; // siblings are mostly sorted by start
  for (let k = i + 1; k < T.subEnd[i]; k = T.flags[k] & INFERRED ? k + 1 : T.subEnd[k]) {
    if (unknown(k)) continue;
    isSorted &&= !inside.length || T.start[k] >= T.start[inside[inside.length - 1]];
    inside.push(k);
  }
  for (const k of isSorted ? inside : inside.sort((a, b) => T.start[a] - T.start[b])) {
    const begin = Math.max(reached, T.start[k]), end = Math.min(to, finish(T, k));
    if (begin >= end) continue;
    own -= end - begin;
    reached = end;
  }
  return own;
}

/** Return all rows as CSV; an empty cell is unknown. */
function csvOf(T) {
  const columns = {
    span_id: i => idOf(T, i),
    parent_span_id: i => (T.parent[i] < 0 ? '' : idOf(T, T.parent[i])),
    service_name: i => inert(T.meta.services[T.svc[i]]),
    name: i => inert(T.strings[T.name[i]]),
    kind: i => T.meta.kinds[T.kind[i]],
    offset_ns: i => (T.flags[i] & NO_START ? '' : T.start[i]),
    duration_ns: i => (T.flags[i] & (NO_START | NO_END) || isGone(T, i) ? '' : T.dur[i]),
    self_time_ns: i => selfTime(T, i) ?? '',
    is_error: i => !!(T.flags[i] & ERROR),
    ...(T.path && { path_time_ns: i => T.path.own(i) }),
    ...(T.state && { baseline_duration_ns: i => (T.state[i] === ADDED ? '' : T.dur2[i]) }),
  };
  const lines = [Object.keys(columns)];
  for (let i = 0; i < T.n; i++) lines.push(Object.values(columns).map(cell => cell(i)));
  return csv(lines);
}

function ariaWords(T, i) {
  const error = T.flags[i] & ERROR ? 'error' : '', moved = T.isCorrected ? movedWords(T, i) : '';
  return [timeWords(T, i), `starts at ${duration(T.start[i])}`, error, moved].filter(Boolean).join(', ');
}

const idOf = (T, i) => (T.spanHi ? hex(T.spanHi[entry(T, i)], T.spanLo[entry(T, i)]) : '');
const entry = (T, i) => (T.det ? T.det[i] : i); // index of the details of a row

/** Return the details of entry j: its status text, sections [heading, [[key, value]]], and links. */
function details(D, j, parentId) {
  const S = D.strings, out = [];
  const pairs = (offsets, keys, values, k) => {
    const rows = [];
    for (let p = offsets[k]; p < offsets[k + 1]; p++) rows.push([S[keys[p]], S[values[p]]]);
    return rows;
  };
  out.push(...grouped(pairs(D.attrOff, D.attrK, D.attrV, j)));
  for (let k = D.evOff[j]; k < D.evOff[j + 1]; k++) {
    const at = D.evAt[k] === NO_TIME ? '' : ` at ${duration(D.evAt[k])}`;
    out.push([`Event ${S[D.evName[k]]}${at}`, pairs(D.evAttrOff, D.evAttrK, D.evAttrV, k)]);
  }
  const links = Array.from(D.lnText.subarray(D.lnOff[j], D.lnOff[j + 1]), text => S[text]);
  if (links.length) out.push(['Links', links.map(words => ['link', words])]);
  const resource = pairs(D.resOff, D.resK, D.resV, D.res ? D.res[j] : D.resOf[D.svc[j]]);
  if (resource.length) out.push(['Resource', resource]);
  const above = S[D.parId[j]] || parentId, parent = above ? [['parent id', above]] : [];
  out.push(['Record', [['span id', hex(D.spanHi[j], D.spanLo[j])], ...parent, ['source', D.meta.sources[D.src[j]]],
    ['record', count(D.rec[j])], ['byte', count(D.off[j])]]]);
  return { status: S[D.status[j]], sections: out, links };
}

/** Group attributes by the first part of their key; single ones come first, under a common heading. */
function grouped(rows) {
  const groups = new Map();
  for (const row of rows) {
    const head = row[0].split('.', 1)[0];
    groups.set(head, [...(groups.get(head) ?? []), row]);
  }
  const alone = [...groups.values()].filter(group => group.length === 1).flat();
  const shared = [...groups].filter(([, group]) => group.length > 1).map(([head, group]) => [`Attributes: ${head}`, group]);
  return alone.length ? [['Attributes', alone], ...shared] : shared;
}

// ------------------------------------------------------------------------------------------------ 7 waterfall
//
// A row is identified by a number: 0 to n - 1 are spans, n and above are folds of equal siblings.

/** Small reusable boxes on the line of a row; boxes closer than `apart` pixels are merged. */
class Marks {
  constructor(words, cls, apart = 1) {
    Object.assign(this, { words, cls, apart });
    this.boxes = [];
    this.used = 0;
  }

  /** Draw `count` intervals in order; from(k) and to(k) are pixels. */
  draw(count, from, to, width, paint = null) {
    let a = NaN, b = NaN, at = -1, used = 0;
    const put = () => { if (at >= 0) this.box(used++, a, b, at, paint); };
    for (let k = 0; k < count; k++) {
      const x0 = from(k), x1 = to(k);
      if (!(x1 >= -EDGE && x0 <= width + EDGE)) continue; // also skips NaN: no time
      if (x0 <= b + this.apart) { b = Math.max(b, x1); continue; }
      put();
      [a, b, at] = [x0, x1, k];
    }
    put();
    for (let k = used; k < this.used; k++) this.boxes[k].style.display = 'none';
    this.used = used;
  }

  box(k, a, b, at, paint) {
    if (!this.boxes[k]) {
      this.boxes[k] = h('i', this.cls);
      this.words.before(this.boxes[k]);
    }
    const box = this.boxes[k], x0 = Math.max(-EDGE, a);
    box.style.display = '';
    box.style.transform = `translateX(${x0.toFixed(1)}px)`;
    box.style.width = `${Math.max(1, Math.min(b, FARTHEST) - x0).toFixed(1)}px`;
    paint?.(box, at);
  }

  clear() { this.draw(0); }
}

/** A pooled row: filled when it becomes visible, positioned on every zoom. */
class Row {
  constructor() {
    this.index = -1;
    this.el = set(h('div', 'tkw-row'), { role: 'row' });
    this.label = set(h('div', 'tkw-lab'), { role: 'gridcell' });
    this.line = set(h('div', 'tkw-line'), { role: 'gridcell' });
    this.twisty = set(h('span', 'tkw-tw'), { 'aria-hidden': 'true' });
    this.service = h('span', 'tkw-svc');
    this.error = h('span', 'tkw-mark', '!');
    this.note = h('span', 'tkw-mark soft');
    this.name = h('span', 'tkw-nm');
    this.bar = h('div', 'tkw-b');
    this.time = h('span', 'tkw-d');
    this.label.append(this.twisty, this.service, this.error, this.name, this.note);
    this.line.append(this.bar, this.time);
    this.members = new Marks(this.time, 'tkw-m', -0.5); // consecutive calls stay separate
    this.before = new Marks(this.time, 'tkw-was');
    this.path = new Marks(this.time, 'tkw-p');
    this.events = new Marks(this.time, 'tkw-ev');
    this.el.append(this.label, this.line);
  }

  /** Set text and identity, when a row becomes visible. */
  fill(W, code, k) {
    const { T, uid } = W, fold = code >= T.n ? code - T.n : -1, i = fold < 0 ? code : T.folds.members[fold][0];
    const colour = W.colourOf(T.meta.slots[T.svc[i]]), deep = T.depth[i] + W.outline.extra[k];
    this.index = code;
    this.el.id = `${uid}-${code}`;
    this.el.dataset.row = code;
    this.el.style.display = '';
    this.el.style.transform = `translateY(${k * W.row}px)`;
    const expanded = W.outline.expanded(code);
    set(this.el, { 'aria-level': deep + 1, 'aria-rowindex': k + 1, 'aria-expanded': expanded === null ? null : String(expanded) });
    const indent = 6 + Math.min(deep, DEEPEST) * (W.isTight ? TIGHT.indent : INDENT);
    this.twisty.textContent = expanded === null ? '' : expanded ? '▾' : '▸';
    this.twisty.style.left = `${indent}px`;
    this.label.style.paddingLeft = `${indent + 16}px`;
    this.service.textContent = label(T.meta.services[T.svc[i]], 100);
    this.service.style.borderLeftColor = colour;
    this.name.textContent = label(T.strings[T.name[i]]);
    this.bar.style.background = colour;
    if (fold < 0) this.fillSpan(W, i);
    else this.fillFold(W, fold, colour);
    this.label.title = `${this.service.textContent}  ${this.name.textContent}`;
    this.line.title = this.words;
  }

  fillSpan(W, i) {
    const { T } = W, flags = T.flags[i], kind = T.state ? T.state[i] : MATCHED, moved = T.isCorrected ? movedWords(T, i) : '';
    const notes = [[flags & ORPHAN, 'parent missing'], [kind === ADDED, 'added'], [kind === MISSING, 'missing'], [kind === SLOWER, 'slower'], [kind === FASTER, 'faster'], [moved, T.shift?.[i] || !moved ? 'skew-corrected' : `${sideName(T)} skew-corrected`], [flags & LINKED, 'linked']];
    this.error.hidden = !(flags & ERROR);
    if (this.note.nextSibling) this.name.after(this.note); // in a narrow column the name matters most
    this.note.textContent = notes.filter(([on]) => on).map(([, words]) => words).join(', ');
    this.note.hidden = !this.note.textContent;
    const looks = [[flags & ERROR, 'err'], [flags & NO_END, 'open'], [flags & NO_START, 'unbegun'], [flags & INFERRED, 'guess'], [flags & LINKED, 'linked'], [kind === MISSING, 'gone'], [kind === ADDED, 'new']];
    this.bar.className = `tkw-b ${looks.filter(([on]) => on).map(([, cls]) => cls).join(' ')}`.trim();
    this.el.className = `tkw-row${T.state && kind !== MATCHED ? ` ${kind === FASTER ? 'better' : 'changed'}` : ''}`;
    if (kind === MISSING) { this.bar.style.background = ''; this.bar.style.color = this.service.style.borderLeftColor; }
    this.words = timeWords(T, i) + (flags & INFERRED ? ' (inferred)' : '');
    this.short = isPair(T, i) && !(flags & (NO_START | NO_END)) ? pairWords(T, i) : this.words;
    set(this.line, { 'aria-label': ariaWords(T, i) });
  }

  fillFold(W, g, colour) {
    const { T } = W, facts = foldFacts(T, g);
    this.colour = colour;
    this.error.hidden = !facts.errors;
    if (!this.note.nextSibling) this.name.before(this.note); // the number of calls precedes the name
    this.note.textContent = facts.count ? callWords(T, facts) : 'missing';
    this.note.hidden = false;
    this.bar.className = 'tkw-b hull';
    this.el.className = 'tkw-row fold';
    this.words = foldWords(T, g);
    const share = T.path ? `, ${percent(facts.path / T.path.total)}` : '';
    this.short = T.state ? fromTo(duration(facts.totalBefore), duration(facts.total)) : duration(facts.total) + share;
    set(this.line, { 'aria-label': `${foldWords(T, g)}, starts at ${duration(facts.from)}${facts.errors ? `, ${many(facts.errors, 'error')}` : ''}` });
  }

  /** Set the geometry, in every frame. */
  place(W, code) {
    const { T } = W, fold = code >= T.n ? code - T.n : -1, width = W.width - W.split, scale = width / (W.to - W.from);
    const x = time => (time - W.from) * scale;
    this.label.style.width = `${W.split}px`;
    this.line.style.left = `${W.split}px`;
    const facts = fold < 0 ? null : foldFacts(T, fold), [from, to] = W.bounds(code);
    const x0 = Math.max(-EDGE, x(from)), x1 = Math.min(width + EDGE, x(to)), outside = x1 <= 1 - EDGE || x0 >= width + EDGE - 1;
    this.bar.style.display = this.time.style.display = outside ? 'none' : '';
    if (!outside) {
      this.bar.style.transform = `translateX(${x0.toFixed(1)}px)`;
      this.bar.style.width = `${Math.max(2, x1 - x0).toFixed(1)}px`;
      this.placeTime(W, code, x0, x1, width, facts || isGone(T, code));
    }
    this.placeMarks(W, code, fold, x, width);
    this.el.setAttribute('aria-selected', code === W.selected);
    this.el.classList.toggle('hit', W.isHit(code));
    this.el.classList.toggle('off', W.showPath && (facts ? !facts.path : !T.path.whole(code)));
  }

  placeTime(W, code, x0, x1, width, isPale) {
    const { T } = W, room = 10 + this.words.length * LETTER, right = x1 + room < width, left = !right && x0 > room;
    const words = right || left ? this.words : this.short; // a short label covers less of the bar
    if (this.time.textContent !== words) this.time.textContent = words;
    this.time.style.left = right ? `${(x1 + 5).toFixed(1)}px` : '';
    this.time.style.right = right ? '' : `${(left ? width - x0 + 5 : Math.max(6, width - x1 + 6)).toFixed(1)}px`;
    const onBar = !(right || left);
    const plain = !onBar || isPale || W.showPath || x1 - x0 < room || T.flags[code] & (NO_END | INFERRED);
    this.time.style.color = plain ? '' : inkOn(W.colourOf(T.meta.slots[T.svc[code]]));
    this.time.classList.toggle('boxed', onBar && !!plain);
  }

  placeMarks(W, code, fold, x, width) {
    const { T } = W, P = W.showPath ? T.path : null;
    if (fold >= 0) {
      const rows = T.folds.members[fold], colour = this.colour;
      this.members.draw(rows.length, k => x(T.start[rows[k]]), k => Math.max(x(finish(T, rows[k])) - 1, x(T.start[rows[k]]) + 1), width, (box, k) => { Object.assign(box.style, { background: colour, opacity: isGone(T, rows[k]) ? 0.35 : '' }); });
      for (const marks of [this.path, this.events, this.before]) marks.clear();
      return;
    }
    this.members.clear();
    this.before.draw(isPair(T, code) ? 1 : 0, () => x(T.start2[code]), () => x(T.start2[code] + T.dur2[code]), width);
    const first = P ? P.first[code] : 0, at = k => P.of[first + k], moved = T.isCorrected ? T.shift[code] : 0;
    this.path.draw(P ? P.first[code + 1] - first : 0, k => x(T.critS[at(k)] + moved), k => x(T.critE[at(k)] + moved), width);
    const begin = T.evOff ? T.evOff[entry(T, code)] : 0, last = T.evOff ? T.evOff[entry(T, code) + 1] : 0;
    const time = k => (T.evAt[begin + k] === NO_TIME ? NaN : x(T.evAt[begin + k] + moved));
    this.events.draw(last - begin, time, k => time(k) + 2, width, (box, k) => { box.title = `${T.strings[T.evName[begin + k]]} at ${duration(T.evAt[begin + k])}`; });
  }

  hide() {
    this.index = -1;
    this.el.removeAttribute('id');
    delete this.el.dataset.row;
    this.el.style.display = 'none';
  }
}

/** The listed rows in order, without those that are collapsed, folded or filtered out. */
class Outline {
  constructor(T) {
    this.T = T;
    this.collapsed = new Uint8Array(T.n);
    this.opened = new Uint8Array(T.folds.members.length);
    this.isFolding = true;
    this.services = new Set(); // filter: shown with their ancestors; empty for all
    this.keep = null;
    this.place = new Int32Array(T.n + T.folds.members.length); // position of each row in the list, -1 if it is not listed
    this.list();
  }

  /** List the rows in one pass over preorder, skipping collapsed subtrees; members of an open fold follow its row. */
  list() {
    const { T, place, keep } = this, { of, members } = T.folds, total = T.n + members.length;
    const rows = new Int32Array(total), extra = new Uint16Array(total), stack = [{ at: 0, end: T.n, extra: 0, member: -1 }];
    let count = 0;
    place.fill(-1);
    const emit = (code, more) => { place[code] = count; extra[count] = more; rows[count++] = code; };
    while (stack.length) {
      const run = stack[stack.length - 1], i = run.at, g = this.isFolding && i < run.end && i !== run.member ? of[i] : -1;
      if (i >= run.end) stack.pop();
      else if (g >= 0) {
        run.at = T.subEnd[i];
        if (members[g][0] !== i || (keep && !members[g].some(member => keep[member]))) continue;
        emit(T.n + g, run.extra);
        if (this.opened[g]) for (let k = members[g].length - 1; k >= 0; k--) stack.push({ at: members[g][k], end: T.subEnd[members[g][k]], extra: run.extra + 1, member: members[g][k] });
      } else if (keep && !keep[i]) run.at = T.subEnd[i];
      else {
        emit(i, run.extra);
        run.at = this.collapsed[i] ? T.subEnd[i] : i + 1;
      }
    }
    this.rows = rows.subarray(0, count);
    this.extra = extra;
  }

  /** Return whether a row is expanded, or null if it cannot be. */
  expanded(code) {
    if (code >= this.T.n) return !!this.opened[code - this.T.n];
    return isParent(this.T, code) ? !this.collapsed[code] : null;
  }

  turn(code, shut) {
    if (code >= this.T.n) this.opened[code - this.T.n] = shut ? 0 : 1;
    else this.collapsed[code] = shut && isParent(this.T, code) ? 1 : 0;
  }

  /** Expand this many levels; collapse folds. */
  levels(depth) {
    const { T } = this;
    for (let i = 0; i < T.n; i++) this.collapsed[i] = T.depth[i] + 1 >= depth && isParent(T, i) ? 1 : 0;
    this.opened.fill(0);
  }

  /** Keep the rows of the selected services and their ancestors. */
  filter() {
    const { T, services } = this;
    this.keep = services.size ? Uint8Array.from(T.svc, code => (services.has(code) ? 1 : 0)) : null;
    if (!this.keep) return;
    this.shown = this.keep.reduce((a, b) => a + b, 0);
    for (let i = T.n - 1; i >= 0; i--) if (this.keep[i] && T.parent[i] >= 0) this.keep[T.parent[i]] ||= 2;
  }

  /** Expand whatever hides a row; return whether anything changed. */
  uncover(code) {
    const { T } = this, isFold = code >= T.n, i = isFold ? T.folds.members[code - T.n][0] : code;
    let opened = false;
    if (this.keep && !this.keep[i]) { this.services.clear(); this.filter(); opened = true; }
    for (let p = i; p >= 0; p = T.parent[p]) {
      const g = this.isFolding ? T.folds.of[p] : -1;
      if (p !== i && this.collapsed[p]) { this.collapsed[p] = 0; opened = true; }
      if (g >= 0 && !this.opened[g] && !(isFold && p === i)) { this.opened[g] = 1; opened = true; }
    }
    return opened;
  }

  /** Return the parent of a listed row, or -1. */
  above(code) {
    const { T } = this, i = code >= T.n ? T.folds.members[code - T.n][0] : code;
    return code < T.n && this.isFolding && T.folds.of[i] >= 0 ? T.n + T.folds.of[i] : T.parent[i];
  }

  /** Return the first listed child of a row, or -1. */
  inside(code) {
    if (code >= this.T.n) return this.T.folds.members[code - this.T.n][0];
    const next = this.rows[this.place[code] + 1] ?? -1;
    return next >= 0 && this.above(next) === code ? next : -1;
  }
}

/** The overview: the whole trace, painted once, with the visible range on top. */
class Minimap {
  constructor(W) {
    this.W = W;
    this.el = set(h('canvas', 'tkw-mini'), { role: 'img', 'aria-label': 'Overview of the trace; drag to zoom, double-click to reset' });
    this.whole = null;
    let from = null;
    const at = e => W.T.begin + clip(e.offsetX / this.el.clientWidth, 0, 1) * W.whole;
    W.on(this.el, 'pointerdown', e => { this.el.setPointerCapture(e.pointerId); from = at(e); });
    W.on(this.el, 'pointermove', e => {
      if (from != null && Math.abs(at(e) - from) > W.whole * 0.002) W.look(Math.min(from, at(e)), Math.max(from, at(e)));
    });
    W.on(this.el, 'pointerup', () => { from = null; });
    W.on(this.el, 'pointercancel', () => { from = null; });
    W.on(this.el, 'dblclick', () => W.lookAtAll());
  }

  forget() { this.whole = null; }

  /** Paint one line per span at the height of its row, in a single pass. */
  paint(width, height) {
    const { T } = this.W, canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const pen = canvas.getContext('2d');
    pen.fillStyle = this.W.paints.bg;
    pen.fillRect(0, 0, width, height);
    const slots = T.meta.slots.map(slot => this.W.colourOf(slot)), thick = clip((height - 4) / T.n * 0.8, 1, 4), scale = width / this.W.whole;
    for (let i = 0; i < T.n; i++) {
      pen.fillStyle = T.flags[i] & ERROR ? this.W.paints.err : slots[T.svc[i]];
      pen.fillRect((T.start[i] - T.begin) * scale, 2 + i / T.n * (height - 4), Math.max(1, (finish(T, i) - T.start[i]) * scale), thick);
    }
    return canvas;
  }

  draw() {
    const { W } = this, ratio = devicePixelRatio || 1, width = Math.round(W.root.clientWidth * ratio), height = Math.round(MINI * ratio);
    if (!width) return;
    if (!this.whole || this.whole.width !== width) {
      this.el.width = width;
      this.el.height = height;
      this.whole = this.paint(width, height);
    }
    const pen = this.el.getContext('2d'), [a, b] = [W.from, W.to].map(time => (time - W.T.begin) / W.whole * width);
    pen.drawImage(this.whole, 0, 0);
    pen.fillStyle = W.isDark ? 'rgba(0,0,0,.55)' : 'rgba(120,130,140,.35)';
    pen.fillRect(0, 0, a, height);
    pen.fillRect(b, 0, width - b, height);
    const rows = W.outline.rows.length || 1, top = W.top / W.row / rows * height, tall = Math.max(2, W.height / W.row / rows * height);
    pen.strokeStyle = W.paints.acc;
    pen.lineWidth = ratio;
    pen.strokeRect(a + 0.5, Math.min(height - 2, top) + 0.5, Math.max(2, b - a - 1), Math.min(height - 1 - Math.min(height - 2, top), tall));
  }
}

/** The time axis, which pans when dragged, and the handle between the name column and the bars. */
class Ruler {
  constructor(W) {
    this.W = W;
    this.el = h('div', 'tkw-head');
    this.title = h('b');
    this.handle = set(h('div', 'tkw-split'), { role: 'separator', tabindex: 0, 'aria-orientation': 'vertical', 'aria-label': 'Width of the name column', 'aria-valuemin': 100, 'aria-valuenow': 100 });
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
    const title = W.isTight ? 'Operation' : 'Service and operation';
    if (this.title.textContent !== title) this.title.textContent = title;
    this.handle.style.left = `${W.split}px`;
    set(this.handle, { 'aria-valuenow': Math.round(W.split), 'aria-valuemax': Math.round(W.width - 120) });
    const marks = ticks(W.from, W.to, Math.max(2, Math.floor(width / TICK))).map(time => {
      const x = (time - W.from) / (W.to - W.from) * width, words = tickLabel(time);
      const mark = h('span', '', x + 8 + words.length * 1.07 * LETTER < width ? words : ''); // a truncated number misleads
      mark.style.left = `${W.split + x}px`;
      return mark;
    });
    this.el.replaceChildren(...marks, this.title);
  }
}

/** The critical path over time in one line; hatched where no span covers it. */
class Lane {
  constructor(W) {
    const { T } = W, share = percent(T.path.gap / T.path.total), gaps = T.path.gap ? `, ${share} not covered by a span` : '';
    this.W = W;
    this.el = h('div', 'tkw-lane');
    this.title = h('b', '', `Critical path${gaps}`);
    this.canvas = set(h('canvas'), { role: 'img', 'aria-label': `Critical path of ${duration(T.path.total)}${gaps}: click to select the span` });
    this.el.append(this.title, this.canvas);
    W.on(this.canvas, 'click', e => {
      const time = W.from + e.offsetX / this.canvas.clientWidth * (W.to - W.from);
      const row = T.critRow.find((owner, k) => owner >= 0 && this.from(k) <= time && time < this.to(k));
      if (row !== undefined) W.select(row);
    });
  }

  /** Return the skew correction of a segment, which is that of its span. */
  moved(k) { return this.W.T.isCorrected && this.W.T.critRow[k] >= 0 ? this.W.T.shift[this.W.T.critRow[k]] : 0; }
  from(k) { return this.W.T.critS[k] + this.moved(k); }
  to(k) { return this.W.T.critE[k] + this.moved(k); }

  draw() {
    const { W } = this, { T } = W, ratio = devicePixelRatio || 1, wide = W.width - W.split, width = Math.round(wide * ratio), height = Math.round(LANE * ratio);
    this.el.hidden = !W.showPath;
    if (!W.showPath || width <= 0) return;
    this.title.style.width = `${W.split}px`;
    this.canvas.style.left = `${W.split}px`;
    this.canvas.style.width = `${wide}px`;
    [this.canvas.width, this.canvas.height] = [width, height];
    const pen = this.canvas.getContext('2d'), scale = width / (W.to - W.from), slots = T.meta.slots.map(slot => W.colourOf(slot));
    const gap = T.path.gap ? hatch(pen, W.paints.fg2) : '';
    for (let k = 0; k < T.critRow.length; k++) {
      const row = T.critRow[k], x0 = (this.from(k) - W.from) * scale, x1 = (this.to(k) - W.from) * scale;
      if (x1 < 0 || x0 > width) continue;
      pen.fillStyle = row < 0 ? gap : slots[T.svc[row]];
      pen.fillRect(x0, 3 * ratio, Math.max(0.5, x1 - x0 - (x1 - x0 > 3 * ratio ? ratio : 0)), height - 6 * ratio);
    }
  }
}

function hatch(pen, colour) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 6;
  const stroke = tile.getContext('2d');
  stroke.strokeStyle = colour;
  stroke.beginPath();
  for (const x of [-6, 0, 6]) { stroke.moveTo(x, 6); stroke.lineTo(x + 6, 0); }
  stroke.stroke();
  return pen.createPattern(tile, 'repeat');
}

/** The detail pane of the selected row. */
class Detail {
  constructor(W, ask) {
    this.W = W;
    this.ask = ask;
    this.el = set(h('div', 'tkw-det'), { role: 'group', 'aria-label': 'Span detail', tabindex: 0 });
  }

  get open() { return this.el.classList.contains('on'); }

  show(code) {
    const { T } = this.W;
    this.row = code;
    this.el.classList.add('on');
    if (code >= T.n) this.fillFold(code - T.n);
    else if (hasDetails(T)) this.fill(code, details(T, entry(T, code), T.parent[code] >= 0 ? idOf(T, T.parent[code]) : ''));
    else {
      this.fill(code, { status: '', links: [], sections: [['Attributes', [['', this.ask ? 'loading from the kernel …' : 'not embedded']]]] });
      this.ask?.({ kind: 'details', row: code }, table => { if (this.row === code) this.fill(code, details(table, 0)); });
    }
  }

  fill(i, { status, sections, links }) {
    const { T } = this.W, flags = T.flags[i];
    const baseline = isPair(T, i) ? ` (${sideName(T)} ${duration(T.start2[i])})` : '', starts = flags & NO_START ? 'not recorded' : duration(T.start[i]) + baseline;
    const own = selfTime(T, i), facts = [['service', T.meta.services[T.svc[i]]], ['kind', T.meta.kinds[T.kind[i]].toLowerCase()], ['duration', timeWords(T, i)]];
    if (own !== undefined && isParent(T, i)) facts.push(['self time', `${duration(own)}, ${percent(own / T.dur[i])}`]);
    facts.push(['starts at', starts]);
    if (flags & NO_END) facts.push(['end', 'not recorded: drawn to the end of the trace']);
    if (flags & ERROR) facts.push(['status', `error${status ? `: ${status}` : ''}`, true]);
    else if (status) facts.push(['status', status]);
    if (flags & ORPHAN) facts.push(['parent', 'missing (orphan span)']);
    if (flags & INFERRED) facts.push(['origin', 'inferred by the backend for an uninstrumented callee']);
    const clock = (shift, doubt) => `${signed(shift)} ± ${duration(doubt)} skew correction${T.isCorrected ? ', applied' : ''}`;
    if (T.shift?.[i]) facts.push(['clock', clock(T.shift[i], T.doubt[i])]);
    if (isPair(T, i) && T.shift2?.[i]) facts.push([`clock (${sideName(T)})`, clock(T.shift2[i], T.doubt2[i])]);
    if (T.path) facts.push(...this.pathFacts(i));
    this.put(T.strings[T.name[i]], this.grid(facts), this.family(i, links), ...sections.flatMap(([heading, rows]) => [this.heading(heading), this.grid(rows)]));
  }

  fillFold(g) {
    const { T, outline } = this.W, facts = foldFacts(T, g), i = T.folds.members[g][0];
    const rows = [['service', T.meta.services[T.svc[i]]], ['calls', count(facts.count)], ['total', duration(facts.total)], ['p50', duration(facts.p50)], ['max', duration(facts.max)]];
    if (facts.errors) rows.push(['errors', count(facts.errors), true]);
    if (T.path) rows.push(['critical path', `${duration(facts.path)}, ${percent(facts.path / T.path.total)}`]);
    if (T.state) rows.push([sideName(T), `${many(facts.before, 'call')}, ${duration(facts.totalBefore)}`]);
    const acts = h('div', 'tkw-acts'), isOpen = outline.opened[g];
    acts.append(button(isOpen ? 'Fold' : 'Unfold', () => { this.W.fold(T.n + g, !!isOpen); this.show(T.n + g); }), button('Slowest call', () => this.W.select(facts.slowest)));
    this.put(T.strings[T.name[i]], this.grid(rows), acts);
  }

  pathFacts(i) {
    const { path } = this.W.T, whole = path.whole(i), words = took => `${duration(took)}, ${percent(took / path.total)}`;
    return whole ? [['critical path', words(path.own(i))], ['with descendants', words(whole)]] : [['critical path', 'not on the critical path']];
  }

  put(name, ...rest) {
    const top = h('div', 'tkw-top');
    top.append(set(h('div', 'tkw-ttl', name), { role: 'heading', 'aria-level': 4 }), button('Close', () => this.W.close(), 'Esc'));
    this.el.replaceChildren(top, ...rest);
    this.el.scrollTop = 0;
  }

  heading(words) { return set(h('div', 'tkw-sec', words), { role: 'heading', 'aria-level': 5 }); }

  /** Return buttons for the parent, the longest children, and linked spans of this trace. */
  family(i, links) {
    const { T } = this.W, box = h('div', 'tkw-kin'), children = [];
    for (let k = i + 1; k < T.subEnd[i]; k = T.subEnd[k]) children.push(k);
    const lead = (words, k) => {
      const who = `${words}: ${label(T.meta.services[T.svc[k]], 40)} ${label(T.strings[T.name[k]], 80)}`, took = `, ${timeWords(T, k)}`, way = button('', () => this.W.select(k), who + took);
      way.append(h('span', '', who), h('span', '', took)); // a long name is truncated, its time is not
      return set(way, { 'aria-label': who + took });
    };
    if (T.parent[i] >= 0) box.append(lead('Parent', T.parent[i]));
    const longest = children.toSorted((a, b) => T.dur[b] - T.dur[a]).slice(0, 5);
    for (const k of longest) box.append(lead('Child', k));
    const rest = children.length - longest.length;
    if (rest) box.append(h('span', 'tkw-dim', `and ${count(rest)} shorter ${rest === 1 ? 'child' : 'children'}`));
    for (const words of links) {
      const [, trace, span] = words.match(/^trace (\w+) span (\w+)/) ?? [], k = trace === T.meta.id ? this.W.rowOf(span) : -1;
      if (k >= 0) box.append(lead('Link', k));
    }
    return box;
  }

  grid(rows) { // not dl or table, which JupyterLab restyles in outputs
    const box = h('div', 'tkw-kv');
    for (const [key, value, bad] of rows) {
      const name = h('div', 'tkw-k'), cell = h('div', `tkw-v${bad ? ' err' : ''}`, value);
      for (const part of key.split(/(?<=[._])/)) name.append(part, h('wbr')); // prefer line breaks after dots
      if (value) cell.prepend(set(button('Copy', e => this.copy(e.currentTarget, value)), { 'aria-label': `Copy ${key}` }));
      box.append(name, cell);
    }
    return box;
  }

  async copy(from, text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // no clipboard API in this frame
      const area = h('textarea');
      area.value = text;
      this.el.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
      from.focus();
    }
    this.W.say(`Copied ${label(text, 80)}`);
    from.textContent = 'Copied';
    setTimeout(() => { from.textContent = 'Copy'; }, 1500);
  }

  showKeys() {
    this.row = -1;
    this.el.classList.add('on');
    const rows = this.W.keyMap().map(([keys, words]) => [keys.map(key => KEY_NAMES[key] ?? key).join('  '), words]);
    const box = h('div', 'tkw-kv');
    const gestures = isTouch() ? [['drag the overview', 'choose a period'], ['drag the time axis', 'pan'], ['double tap', 'fit a span']]
      : [['Ctrl + wheel', 'zoom'], ['Shift + wheel', 'pan'], ['double click', 'fit a span']];
    for (const [keys, words] of isTouch() ? [...gestures, ...rows] : [...rows, ...gestures]) box.append(h('div', 'tkw-v', keys), h('div', 'tkw-k', words));
    this.put('Keys', box);
    this.W.measure();
    this.el.focus({ preventScroll: true });
  }
}

const KEY_NAMES = { ArrowDown: '↓', ArrowUp: '↑', ArrowLeft: '←', ArrowRight: '→', Escape: 'Esc', PageDown: 'Page ↓', PageUp: 'Page ↑' };

/** A trace as rows on a time axis; only visible rows have elements. */
export class Waterfall extends View {
  constructor(host, table, { height = 480, onSelect = null, onLook = null, ask = null } = {}) {
    super(host, height);
    this.T = traceOf(table);
    Object.assign(this, { onSelect, onLook, ask });
    [this.from, this.to] = [this.T.begin, this.T.end];
    this.selected = -1;
    this.outline = new Outline(this.T);
    this.showPath = !!this.T.path;
    this.hits = null;
    this.hitList = [];
    this.pool = [];
    this.width = this.height = 0;
    this.wanted = null; // width of the name column, if the user set one
    this.split = 300;
    this.row = ROW;
    this.opening = ''; // where the view opened, until something is selected or found
    this.build();
    this.list();
    this.listen();
    this.follow(this.scroll);
  }

  get rows() { return this.outline.rows; }

  /** Length of the whole time range. */
  get whole() { return this.T.end - this.T.begin; }

  get isWhole() { return this.from === this.T.begin && this.to === this.T.end; }

  /** Scroll position; the last one while the view is hidden (JupyterLab hides it when the theme changes). */
  get top() {
    if (this.scroll.clientHeight) this.lastTop = this.scroll.scrollTop;
    return this.lastTop ?? 0;
  }

  build() {
    const { T } = this;
    this.scroll = set(h('div', 'tkw-scroll'), { tabindex: 0, role: 'treegrid', 'aria-label': `Spans of trace ${T.meta.id}`, 'aria-readonly': 'true' });
    this.pad = set(h('div', 'tkw-pad'), { role: 'rowgroup' });
    this.scroll.append(this.pad);
    this.mini = new Minimap(this);
    this.ruler = new Ruler(this);
    this.lane = T.path ? new Lane(this) : null;
    this.detail = new Detail(this, this.ask);
    this.live = set(h('div', 'tkw-live'), { 'aria-live': 'polite' });
    this.main = h('div', 'tkw-main');
    const col = h('div', 'tkw-col');
    col.append(this.ruler.el, ...(this.lane ? [this.lane.el] : []), this.scroll, this.ruler.handle);
    this.main.append(col, this.detail.el);
    this.root.append(this.toolbar(), this.legend());
    if (T.meta.note) this.root.append(h('div', 'tkw-note', T.meta.note));
    this.root.append(this.mini.el, this.main, this.live);
  }

  toolbar() {
    const { T } = this, bar = set(h('div', 'tkw-bar'), { role: 'toolbar', 'aria-label': 'Trace tools' });
    this.query = set(h('input'), { type: 'search', placeholder: 'Find spans ( / )', 'aria-label': 'Find spans by name, service or attribute', spellcheck: 'false', autocomplete: 'off' });
    this.found = set(h('span', 'tkw-dim'), { role: 'status' });
    this.errors = this.rowsWhere(i => T.flags[i] & ERROR);
    this.changes = T.state ? this.rowsWhere(i => T.state[i] !== MATCHED) : [];
    bar.append(this.query, this.found);
    if (this.errors.length) bar.append(button(`Next error (${count(this.errors.length)})`, () => this.step(this.errors, 1), 'e'));
    if (this.changes.length) bar.append(button(`Next difference (${count(this.changes.length)})`, () => this.step(this.changes, 1), 'x'));
    if (T.path) bar.append(this.pathSwitch = toggle('Critical path', () => this.turnPath(), 'c', this.showPath));
    if (T.shift) bar.append(this.clockSwitch = toggle('Correct clock skew', () => this.turnClock(), 't', false));
    if (T.folds.members.length) bar.append(this.foldSwitch = toggle('Fold repeats', () => this.turnFolds(), 'g', true));
    bar.append(this.levelChoice(), button('Whole trace', () => this.lookAtAll(), '0'), button('Keyboard shortcuts', () => this.detail.showKeys(), '?'));
    if (T.spanHi) bar.append(button('Download CSV', () => download(`trace-${T.meta.id}.csv`, csvOf(T)), 'Download all spans as a table'));
    bar.append(h('span', 'tkw-gap'), h('span', 'tkw-dim', T.state ? many(T.n, 'row') : `${many(T.n, 'span')} · ${duration(T.end)}`));
    return bar;
  }

  rowsWhere(is) {
    const out = [];
    for (let i = 0; i < this.T.n; i++) if (is(i)) out.push(i);
    return out;
  }

  levelChoice() {
    const { T } = this, choice = set(h('select'), { 'aria-label': 'Levels shown', title: '[ and ]' });
    const deepest = Math.min(20, T.depth.reduce((a, b) => Math.max(a, b), 0) + 1);
    choice.append(...['All levels', ...Array.from({ length: deepest - 1 }, (_, k) => many(k + 1, 'level'))].map((words, k) => { const one = h('option', '', words); one.value = k; return one; }));
    this.on(choice, 'change', () => this.showLevels(Number(choice.value)));
    return (this.level = choice);
  }

  /** Create the legend: pressing a service shows its spans with their ancestors, pressing more adds theirs. */
  legend() {
    const { T } = this, box = set(h('div', 'tkw-bar tkw-legend'), { role: 'group', 'aria-label': 'Show only these services' });
    this.swatches = T.meta.services.map((service, k) => {
      const item = toggle('', () => this.filter(k), label(service), false), swatch = h('i');
      item.append(swatch, label(service, 60));
      box.append(item);
      return [swatch, T.meta.slots[k], item];
    });
    return box;
  }

  filter(k) {
    const { services } = this.outline;
    if (services.has(k)) services.delete(k);
    else services.add(k);
    this.outline.filter();
    this.scroll.scrollTop = 0;
    this.list();
  }

  /** Show the number of search results; without a search the number of spans of the selected services. */
  showFound() {
    const { services, shown } = this.outline, whose = services.size === 1 ? 'this service' : 'these services';
    this.found.textContent = this.hits ? `${count(this.hitList.length)} found${this.where}` : services.size ? `${many(shown, 'span')} of ${whose}` : this.opening;
  }

  turnPath() {
    if (!this.T.path) return;
    this.showPath = !this.showPath;
    set(this.pathSwitch, { 'aria-pressed': String(this.showPath) });
    this.lane.el.hidden = !this.showPath;
    this.measure();
  }

  turnFolds() {
    if (!this.foldSwitch) return;
    this.outline.isFolding = !this.outline.isFolding;
    set(this.foldSwitch, { 'aria-pressed': String(this.outline.isFolding) });
    if (this.selected >= this.T.n) this.selected = this.T.folds.members[this.selected - this.T.n][0];
    this.list();
  }

  /** Switch to the next row height; the row at the top stays there. */
  turnRows() {
    const first = this.top / this.row;
    this.row = ROWS[(ROWS.indexOf(this.row) + 1) % ROWS.length];
    for (const row of ROWS) this.root.classList.toggle(`tkw-rows${row}`, row === this.row);
    this.list();
    this.scroll.scrollTop = first * this.row;
  }

  turnClock() {
    const { T, isWhole } = this;
    if (!T.shift) return;
    correctClocks(T, !T.isCorrected);
    set(this.clockSwitch, { 'aria-pressed': String(T.isCorrected) });
    this.mini.forget();
    if (isWhole) this.lookAtAll();
    else this.look(this.from, this.to);
    this.refill();
    if (this.detail.open && this.selected >= 0) this.detail.show(this.selected);
  }

  // ---- visible rows

  list() {
    this.outline.list();
    const count = this.rows.length;
    for (const [, , item] of this.swatches) item.setAttribute('aria-pressed', 'false');
    for (const k of this.outline.services) this.swatches[k][2].setAttribute('aria-pressed', 'true');
    this.pad.style.height = `${count * this.row}px`;
    set(this.scroll, { 'aria-rowcount': count });
    this.showFound();
    this.refill();
  }

  refill() {
    for (const row of this.pool) row.index = -1;
    this.redraw();
  }

  theme() {
    for (const [swatch, slot] of this.swatches) swatch.style.background = this.colourOf(slot);
    this.mini.forget();
    this.refill();
  }

  measure() {
    const under = this.root.clientWidth < WIDE;
    this.main.classList.toggle('under', under);
    this.width = this.scroll.clientWidth;
    this.height = this.scroll.clientHeight;
    this.split = this.wanted == null ? Math.max(140, Math.min(360, Math.round(this.width * 0.32))) : Math.max(100, Math.min(this.width - 120, this.wanted));
    const wasTight = this.isTight;
    this.isTight = this.split < TIGHT.below;
    this.root.classList.toggle('tkw-tight', this.isTight);
    if (!this.isOpened && this.height) this.openAt(this.T.meta.focus ?? -1);
    if (this.isTight === wasTight) this.redraw();
    else this.refill();
  }

  /** Open where the longest stretch of the critical path is visible, if the rows are more than fit; times stay whole. */
  openAt(code) {
    this.isOpened = true;
    if (code < 0 || this.selected >= 0 || !this.isWhole || this.rows.length * this.row <= this.height) return;
    if (this.outline.uncover(code)) this.list();
    const y = this.outline.place[code] * this.row;
    if (y + this.row <= this.height) return;
    this.scroll.scrollTop = y - Math.floor(this.height / this.row / 2) * this.row;
    this.opening = 'opened on the critical path';
    this.showFound();
  }

  setSplit(width) {
    this.wanted = width;
    this.measure();
  }

  draw() {
    if (!this.width) return;
    const first = Math.max(0, Math.floor(this.top / this.row) - SPARE), need = Math.ceil(this.height / this.row) + 2 * SPARE + 1;
    while (this.pool.length < need) {
      const row = new Row();
      this.pool.push(row);
      this.pad.append(row.el);
    }
    for (let k = first; k < first + this.pool.length; k++) {
      const row = this.pool[k % this.pool.length], code = this.rows[k];
      if (code === undefined) { row.hide(); continue; }
      if (row.index !== code) row.fill(this, code, k);
      row.place(this, code);
    }
    const shown = this.selected >= 0 && this.pool.some(row => row.index === this.selected);
    set(this.scroll, { 'aria-activedescendant': shown ? `${this.uid}-${this.selected}` : null });
    this.ruler.draw();
    this.lane?.draw();
    this.mini.draw();
  }

  // ---- moving in time

  look(from, to, { quiet = false } = {}) {
    const least = Math.max(10, this.whole * 1e-7);
    if (to - from < least) [from, to] = [(from + to - least) / 2, (from + to + least) / 2];
    const span = Math.min(to - from, this.whole);
    this.from = clip(from, this.T.begin, this.T.end - span);
    this.to = this.from + span;
    this.redraw();
    if (!quiet) this.sendRange();
  }

  lookAtAll(how) { this.look(this.T.begin, this.T.end, how); }

  /** Send the visible range to the kernel after a pause. */
  sendRange() {
    clearTimeout(this.resting);
    if (this.onLook) this.resting = setTimeout(() => this.onLook(this.isWhole ? [] : [this.from, this.to]), REST);
  }

  zoom(factor, at = 0.5) {
    const span = this.to - this.from, centre = this.from + span * at;
    this.look(centre - span * factor * at, centre + span * factor * (1 - at));
  }

  pan(share) {
    const span = this.to - this.from;
    this.look(this.from + span * share, this.to + span * share);
  }

  bounds(code) {
    const { T } = this;
    if (code < T.n) return [T.start[code], finish(T, code)];
    const { from, to } = foldFacts(T, code - T.n);
    return [from, to];
  }

  fit(code) {
    if (code < 0) return;
    const [from, to] = this.bounds(code), margin = (to - from) * 0.05;
    this.look(from - margin, to + margin);
  }

  // ---- folding, finding, selecting

  fold(code, shut = this.outline.expanded(code)) {
    if (this.outline.expanded(code) === null) return;
    this.outline.turn(code, shut);
    this.list();
  }

  /** Show this many levels; 0 for all. */
  showLevels(depth) {
    this.outline.levels(depth || Infinity);
    this.level.value = Math.min(depth, this.level.length - 1);
    this.list();
    this.scroll.scrollTop = 0;
  }

  /** Collapse everything below the children of the roots, or expand everything. */
  foldAll(shut) { this.showLevels(shut ? 2 : 0); }

  reveal(code) {
    const [from, to] = this.bounds(code), span = this.to - this.from;
    if (to < this.from || from > this.to) this.look(from - span / 3, from + span * 2 / 3);
    if (this.outline.uncover(code)) this.list();
    const y = this.outline.place[code] * this.row;
    if (y < this.scroll.scrollTop || y + this.row > this.scroll.scrollTop + this.height) this.scroll.scrollTop = Math.max(0, y - this.height / 2);
  }

  select(code, { quiet = false } = {}) {
    const { T } = this;
    if (!(code >= 0 && code < T.n + T.folds.members.length)) return;
    this.selected = code;
    this.opening = '';
    this.showFound();
    this.detail.show(code);
    this.measure();
    this.reveal(code);
    const i = code < T.n ? code : T.folds.members[code - T.n][0];
    this.say(`${label(T.meta.services[T.svc[i]], 100)} ${label(T.strings[T.name[i]])}, ${code < T.n ? ariaWords(T, code) : foldWords(T, code - T.n)}`);
    this.redraw();
    if (!quiet) this.onSelect?.(code < T.n ? code : -1);
  }

  /** Return the row of a span id, -1 if there is none. */
  rowOf(spanId) {
    for (let i = 0; i < this.T.n; i++) if (idOf(this.T, i) === spanId) return i;
    return -1;
  }

  /** Return the fold that contains a span, or the span itself. */
  foldOf(i) {
    const fold = this.outline.isFolding ? this.T.folds.of[i] : -1;
    return fold < 0 ? i : this.T.n + fold;
  }

  say(words) { this.live.textContent = words; }

  close() {
    this.detail.el.classList.remove('on');
    this.measure();
    this.scroll.focus({ preventScroll: true });
  }

  isHit(code) {
    if (!this.hits) return false;
    return code < this.T.n ? !!this.hits[code] : this.foldHits.has(code - this.T.n);
  }

  /** Find spans: search the distinct texts first, which are far fewer than the spans. */
  search(words) {
    const { T } = this, wanted = words.trim().toLowerCase();
    this.hits = null;
    this.hitList = [];
    if (wanted) {
      const texts = T.strings.map(text => text.toLowerCase().includes(wanted));
      const services = T.meta.services.map(text => text.toLowerCase().includes(wanted));
      this.take(this.rowsWhere(i => services[T.svc[i]] || texts[T.name[i]] || this.matches(i, texts)), hasDetails(T) ? '' : ' in names');
      if (!hasDetails(T)) this.askFor(wanted);
    }
    this.showFound();
    this.redraw();
  }

  take(rows, where) {
    const { T } = this;
    this.hits ??= new Uint8Array(T.n);
    for (const i of rows) this.hits[i] = 1;
    this.hitList = this.rowsWhere(i => this.hits[i]);
    this.foldHits = new Set(this.hitList.map(i => T.folds.of[i]));
    this.where = where;
    this.showFound();
    this.redraw();
  }

  /** Search attributes that are not embedded in the kernel, after a pause in typing. */
  askFor(wanted) {
    clearTimeout(this.typing);
    if (this.ask) this.typing = setTimeout(() => this.ask({ kind: 'search', words: wanted }, table => {
      if (this.query.value.trim().toLowerCase() === wanted) this.take(table.hit, '');
    }), REST);
  }

  matches(i, texts) {
    const { T } = this, j = entry(T, i);
    if (!hasDetails(T)) return false;
    for (let k = T.attrOff[j]; k < T.attrOff[j + 1]; k++) if (texts[T.attrK[k]] || texts[T.attrV[k]]) return true;
    return false;
  }

  /** Select the next or previous row of a list, cyclically. */
  step(list, direction) {
    if (!list.length) return;
    const { T } = this, here = this.selected < T.n ? this.selected : T.folds.members[this.selected - T.n][0] - 1;
    this.select(direction > 0 ? list.find(i => i > here) ?? list[0] : list.findLast(i => i < here) ?? list[list.length - 1]);
  }

  /** Select the next or previous span on the critical path, in order of time. */
  stepPath(direction) {
    if (!this.T.path) return;
    const times = [...new Set(this.T.critRow)].filter(row => row >= 0), at = times.indexOf(this.selected);
    this.select(times[at < 0 ? (direction > 0 ? 0 : times.length - 1) : (at + direction + times.length) % times.length]);
  }

  move(by) {
    if (!this.rows.length) return;
    const at = this.selected < 0 ? -1 : this.outline.place[this.selected];
    this.select(this.rows[Math.max(0, Math.min(this.rows.length - 1, at + by))]);
  }

  inwards() {
    const code = this.selected, expanded = code < 0 ? null : this.outline.expanded(code);
    if (code < 0) this.move(1);
    else if (expanded === false) this.fold(code, false);
    else if (expanded) this.select(this.outline.inside(code));
  }

  outwards() {
    const code = this.selected;
    if (code < 0) return;
    if (this.outline.expanded(code)) this.fold(code, true);
    else if (this.outline.above(code) >= 0) this.select(this.outline.above(code));
  }

  destroy() {
    clearTimeout(this.resting);
    clearTimeout(this.typing);
    super.destroy();
  }

  // ---- input

  /** Return every key with its description and action. */
  keyMap() {
    const page = () => Math.max(1, Math.floor(this.height / this.row) - 1), last = this.T.n + this.T.folds.members.length;
    const { T } = this;
    return [
      [['ArrowDown', 'j'], 'next row', () => this.move(1)],
      [['ArrowUp', 'k'], 'previous row', () => this.move(-1)],
      [['PageDown'], 'a page down', () => this.move(page())],
      [['PageUp'], 'a page up', () => this.move(-page())],
      [['Home'], 'first row', () => this.move(-last)],
      [['End'], 'last row', () => this.move(last)],
      [['ArrowRight'], 'expand, or first child', () => this.inwards()],
      [['ArrowLeft'], 'collapse, or parent', () => this.outwards()],
      [['Enter'], 'detail', () => this.select(Math.max(0, this.selected))],
      [['Escape'], 'close the detail', () => this.close()],
      [['w'], 'zoom in', () => this.zoom(1 / ZOOM.key)],
      [['s'], 'zoom out', () => this.zoom(ZOOM.key)],
      [['a'], 'earlier', () => this.pan(-PAN.key)],
      [['d'], 'later', () => this.pan(PAN.key)],
      [['0'], 'whole trace', () => this.lookAtAll()],
      [['f'], 'fit the selected row', () => this.fit(this.selected)],
      [['/'], 'find', () => this.query.focus()],
      [['n'], 'next hit', () => this.step(this.hitList, 1)],
      [['N'], 'previous hit', () => this.step(this.hitList, -1)],
      [['e'], 'next error', () => this.step(this.errors, 1)],
      [['E'], 'previous error', () => this.step(this.errors, -1)],
      [['c'], 'critical path on or off', () => this.turnPath()],
      [['p'], 'next on the critical path', () => this.stepPath(1)],
      [['P'], 'previous on the critical path', () => this.stepPath(-1)],
      [['x'], 'next difference', () => this.step(this.changes, 1)],
      [['X'], 'previous difference', () => this.step(this.changes, -1)],
      [['t'], 'recorded or skew-corrected times', () => this.turnClock()],
      [['g'], 'fold repeats on or off', () => this.turnFolds()],
      [['r'], 'row height', () => this.turnRows()],
      [['['], 'collapse to two levels', () => this.foldAll(true)],
      [[']'], 'expand all', () => this.foldAll(false)],
      [['1', '2', '3', '4', '5', '6', '7', '8', '9'], 'show this many levels', key => this.showLevels(Number(key))],
      [['?'], 'show keys', () => this.detail.showKeys()],
    ];
  }

  listen() {
    const keys = new Map(this.keyMap().flatMap(([names, , act]) => names.map(name => [name, act])));
    const rowAt = e => Number(e.target.closest?.('.tkw-row')?.dataset.row ?? -1);
    this.on(this.scroll, 'keydown', e => {
      if (e.ctrlKey || e.metaKey || e.altKey || !keys.has(e.key)) return;
      keys.get(e.key)(e.key);
      e.preventDefault();
    });
    this.on(this.detail.el, 'keydown', e => { if (e.key === 'Escape') this.close(); });
    this.on(this.scroll, 'scroll', () => this.redraw(), { passive: true });
    this.on(this.scroll, 'click', e => {
      const code = rowAt(e);
      if (code >= 0) e.target.closest('.tkw-tw') && this.outline.expanded(code) !== null ? this.fold(code) : this.select(code);
    });
    this.on(this.scroll, 'dblclick', e => {
      if (e.target.closest('.tkw-tw')) return;
      if (rowAt(e) >= this.T.n) this.fold(rowAt(e));
      else this.fit(rowAt(e));
    });
    this.on(this.scroll, 'wheel', e => {
      if (!(e.ctrlKey || e.metaKey || e.shiftKey)) return;
      e.preventDefault();
      const left = this.scroll.getBoundingClientRect().left + this.split;
      if (e.shiftKey) this.pan((e.deltaY || e.deltaX) / PAN.wheel);
      else this.zoom(Math.exp(e.deltaY / ZOOM.wheel), Math.max(0, Math.min(1, (e.clientX - left) / (this.width - this.split))));
    }, { passive: false });
    this.on(this.query, 'input', () => this.search(this.query.value));
    this.on(this.query, 'keydown', e => {
      if (e.key === 'Enter') { this.step(this.hitList, e.shiftKey ? -1 : 1); e.preventDefault(); }
      if (e.key === 'Escape') { this.query.value = ''; this.search(''); this.scroll.focus(); }
    });
  }
}

// ------------------------------------------------------------------------------------------------ 8 service map

/** A service map laid out by Python; a click highlights a service and its direct calls and lists their figures. */
export class ServiceMap extends View {
  /** graph = {size, nodes: [{name, x, y, w, h, sub, say, slot, inferred, bad, mark}], edges: [{a, b, d, w, err, back, mark, tip}]}; a, b: positions in nodes */
  constructor(host, graph, { height = 480, onSelect = null } = {}) {
    super(host, height);
    Object.assign(this, { graph, onSelect, chosen: null });
    this.svg = this.shape('svg', { class: 'tkw-map', role: 'group', 'aria-label': `Service map: ${many(graph.nodes.length, 'service')}, ${many(graph.edges.length, 'call')}`, preserveAspectRatio: 'xMidYMid meet' }, this.root);
    this.arrows();
    this.edges = graph.edges.map(edge => [edge, this.line(edge)]);
    this.boxes = graph.nodes.map(node => this.box(node));
    this.say = set(h('div', 'tkw-say'), { role: 'status' });
    this.root.append(this.say);
    reach(this.say, this.stop.signal);
    this.hint();
    this.listen();
    this.follow();
  }

  shape(name, attributes, parent) {
    const e = set(document.createElementNS('http://www.w3.org/2000/svg', name), attributes);
    parent?.append(e);
    return e;
  }

  arrows() {
    const defs = this.shape('defs', {}, this.svg);
    for (const kind of ['', 'err', 'new']) { // userSpaceOnUse: heads do not grow with the stroke
      const marker = this.shape('marker', { id: `${this.uid}arrow${kind}`, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: 'userSpaceOnUse', orient: 'auto' }, defs);
      this.shape('path', { d: 'M0,0.5L8,4L0,7.5z', class: `arrow ${kind}` }, marker);
    }
  }

  line(edge) {
    const kind = edge.err ? 'err' : edge.mark === 'added' ? 'new' : '';
    const path = this.shape('path', { class: `e ${kind}`, d: edge.d, 'stroke-width': edge.w, 'stroke-dasharray': edge.back ? '5 3' : null, 'marker-end': `url(#${this.uid}arrow${kind})` }, this.svg);
    this.shape('title', {}, path).textContent = edge.tip;
    return path;
  }

  box(node) {
    const name = label(node.name, 21), group = this.shape('g', { class: `node${node.inferred ? ' guess' : ''}${node.bad ? ' bad' : ''}${{ added: ' new', removed: ' gone' }[node.mark] ?? ''}`, tabindex: 0, role: 'button', 'aria-pressed': 'false', transform: `translate(${node.x - node.w / 2},${node.y - node.h / 2})` }, this.svg);
    this.shape('rect', { class: 'box', width: node.w, height: node.h, rx: 5 }, group);
    node.swatch = this.shape('rect', { width: 5, height: node.h, rx: 2 }, group);
    this.shape('text', { x: 13, y: 15 }, group).textContent = `${name} `; // the accessible name is the text
    this.shape('text', { x: 13, y: 28, class: 'sub' }, group).textContent = node.sub;
    return group; // no title element, which would become the accessible name
  }

  /** Show the figures of a service on hover, unless a service is selected. */
  peek(k) {
    if (this.chosen != null) return;
    const { name, say } = this.graph.nodes[k], line = h('div');
    line.append(h('b', '', label(name, 80)), ` ${say}`);
    this.say.replaceChildren(line);
  }

  hint() {
    const { nodes, edges } = this.graph, isCompared = [...nodes, ...edges].some(part => part.mark);
    const colours = isCompared ? 'red: regressed, blue: new, dashed: removed or inferred (uninstrumented)' : 'red: errors, dashed: inferred (uninstrumented)';
    const words = nodes.length ? `${isTouch() ? 'Tap' : 'Click'} a service to see its calls. Line width: number of calls; ${colours}. ${isTouch() ? 'Drag sideways to pan.' : 'Ctrl + wheel zooms, drag pans.'}` : 'No services recorded.';
    this.say.replaceChildren(h('div', '', words));
  }

  /** Highlight a service (by position) with its direct calls and list their figures; null resets. */
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

  /** Fit the map after a change of size; hiding and showing it keeps pan and zoom. */
  measure() {
    const size = `${this.svg.clientWidth} ${this.svg.clientHeight}`;
    if (size !== this.fittedTo && this.svg.clientWidth) this.fit();
    this.fittedTo = this.svg.clientWidth ? size : this.fittedTo;
  }

  /** Fit the map at a scale of at most 1; in a narrow view show its left part at a legible scale. */
  fit() {
    const [w, t] = this.graph.size, wide = this.svg.clientWidth, tall = this.svg.clientHeight;
    if (!wide || !tall) return;
    const high = Math.min(1, tall / (t + 32)), scale = Math.max(Math.min(high, wide / (w + 32)), wide < WIDE ? Math.min(high, LEGIBLE) : 0);
    this.box_ = { x: wide / scale < w + 31 ? -16 : w / 2 - wide / scale / 2, y: t / 2 - tall / scale / 2, w: wide / scale, h: tall / scale };
    this.apply();
  }

  apply() {
    const { x, y, w, h: tall } = this.box_;
    set(this.svg, { viewBox: `${x} ${y} ${w} ${tall}` });
  }

  theme() {
    for (const node of this.graph.nodes) node.swatch.style.fill = node.inferred ? 'var(--tk-fg2)' : this.colourOf(node.slot);
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
      const view = this.box_, at = this.svg.getBoundingClientRect(), factor = Math.exp(e.deltaY / ZOOM.wheel);
      const px = view.x + (e.clientX - at.left) / at.width * view.w, py = view.y + (e.clientY - at.top) / at.height * view.h;
      Object.assign(view, { x: px - (px - view.x) * factor, y: py - (py - view.y) * factor, w: view.w * factor, h: view.h * factor });
      this.apply();
    }, { passive: false });
  }
}

// ------------------------------------------------------------------------------------------------ 9 canvas

/** A view with a toolbar, a scrolling canvas, a status line and a tooltip. */
class Pane extends View {
  constructor(host, height, name) {
    super(host, height);
    this.bar = set(h('div', 'tkw-bar'), { role: 'toolbar', 'aria-label': name });
    this.scroll = h('div', 'tkw-pane');
    this.tall = h('div');
    this.canvas = set(h('canvas'), { tabindex: 0, role: 'application', 'aria-label': name });
    this.say = set(h('div', 'tkw-say'), { role: 'status' });
    this.tip = h('div', 'tkw-tip');
    this.tip.hidden = true;
    this.tall.append(this.canvas);
    this.scroll.append(this.tall);
    this.root.append(this.bar, this.scroll, this.say, this.tip);
    reach(this.say, this.stop.signal);
    this.follow(this.scroll);
  }

  /** Begin a frame: resize the canvas to the visible area in device pixels; return false if it has no size. */
  begin() {
    const w = this.scroll.clientWidth, t = this.scroll.clientHeight, scale = devicePixelRatio || 1;
    if (!w || !t) return false;
    if (this.w !== w || this.t !== t || this.scale !== scale) {
      Object.assign(this, { w, t, scale });
      Object.assign(this.canvas, { width: Math.round(w * scale), height: Math.round(t * scale) });
      Object.assign(this.canvas.style, { width: `${w}px`, height: `${t}px` });
    }
    this.c = this.canvas.getContext('2d');
    this.c.setTransform(scale, 0, 0, scale, 0, 0);
    this.c.clearRect(0, 0, w, t);
    return true;
  }

  words(text, x, y, { colour = this.paints.fg2, align = 'left', size = 11 } = {}) {
    Object.assign(this.c, { fillStyle: colour, textAlign: align, textBaseline: 'middle', font: `${size}px ${this.font}` });
    this.c.fillText(text, x, y);
  }

  /** Show a tooltip at the pointer: a name and lines of text. */
  hint(event, name, lines) {
    this.tip.replaceChildren(h('b', '', name), ...lines.map(line => h('div', '', line)));
    this.tip.hidden = false;
    const box = this.root.getBoundingClientRect(), { offsetWidth: w, offsetHeight: t } = this.tip;
    const x = event.clientX - box.left + 14, y = event.clientY - box.top + 14;
    this.tip.style.left = `${clip(x, 4, Math.max(4, box.width - w - 6))}px`;
    this.tip.style.top = `${y + t > box.height ? Math.max(4, y - t - 24) : y}px`;
  }

  status(name, words) { this.say.replaceChildren(...(name ? [h('b', '', name), ` ${words}`] : [words])); }

  button(words, act, title) {
    const e = button(words, act, title);
    this.bar.append(e);
    return e;
  }
}

// ------------------------------------------------------------------------------------------------ 10 heat map

const LEFT = 64, TOP = 20, FLOOR = 30;

/** map = {title, times: [label], marks: [{at, name}], edges: [ns], ticks: [{at, words}], clock: [{at, words}], col, row, weight: [], traces: []} */
export class Heat extends Pane {
  constructor(host, map, { height = 420, onBrush = null } = {}) {
    super(host, height, 'Durations over time');
    this.map = map;
    this.onBrush = onBrush;
    this.brush = null;
    this.bar.append(h('b', '', map.title), h('span', 'tkw-dim', 'Drag a rectangle to select requests.'), h('span', 'tkw-gap'));
    this.clear = this.button('Clear', () => this.choose(null), 'Escape');
    this.top = Math.max(1, ...map.weight);
    this.at = new Map(map.col.map((c, k) => [c * map.rows + map.row[k], k]));
    this.listen();
    this.choose(null, { quiet: true });
  }

  get box() { return { x: LEFT, y: TOP, w: this.w - LEFT - 12, t: this.t - TOP - FLOOR }; }

  draw() {
    if (!this.begin()) return;
    const { map, c, box } = this, steps = HEAT[this.isDark ? 'dark' : 'light'];
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

  /** Return the cell under the pointer, clipped to the map. */
  cell(event) {
    const at = this.canvas.getBoundingClientRect(), { box, map } = this;
    const col = Math.floor((event.clientX - at.left - box.x) / box.w * map.cols);
    const row = Math.floor((box.y + box.t - (event.clientY - at.top)) / box.t * map.rows);
    return { col: clip(col, 0, map.cols - 1), row: clip(row, 0, map.rows - 1), inside: col >= 0 && col < map.cols && row >= 0 && row < map.rows };
  }

  /** Select the cells [from column, to column, from row, to row], ends excluded; null clears the selection. */
  choose(brush, { quiet = false } = {}) {
    this.brush = brush;
    this.clear.disabled = !brush;
    if (brush) {
      const [c0, c1, r0, r1] = brush, { map } = this;
      let weight = 0;
      map.col.forEach((col, k) => { if (col >= c0 && col < c1 && map.row[k] >= r0 && map.row[k] < r1) weight += map.weight[k]; });
      this.status(many(weight, 'request'), `started ${map.times[c0]} to ${map.times[c1]} UTC, duration ${duration(map.edges[r0])} to ${duration(map.edges[r1])}.`);
    } else this.status('', 'Nothing selected. Drag, or press an arrow key: arrows move the rectangle, Shift + arrows resize it, Escape clears it.');
    if (!quiet) this.onBrush?.(brush ?? []);
    this.redraw();
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
    const words = map.weight[k] === map.traces[k] ? '' : ` (${count(map.traces[k])} recorded)`;
    this.hint(event, many(map.weight[k], 'request') + words, [`${duration(map.edges[row])} to ${duration(map.edges[row + 1])}`, `${map.times[col]} UTC`]);
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

// ------------------------------------------------------------------------------------------------ 11 flame

const FRAME = 18, LABEL = 34; // height of a frame; width from which it has a label
const CHANGE = { slower: [209, 73, 91], faster: [45, 120, 196], unchanged: [205, 209, 215], unchangedInDark: [74, 80, 90] }; // red, green, blue

/** tree = {title, note, names, name, parent, depth, x0, x1, slot, value, whole, unit, presence, spans, traces} or, for a difference, {tint, baseline, side, change, baseline_presence, gone} in place of the last two: rows in preorder, x0 and x1 as shares of the width */
export class Flame extends Pane {
  constructor(host, tree, { height = 480, onSelect = null, onSearch = null } = {}) {
    super(host, height, 'Flame graph');
    Object.assign(this, { tree, onSelect, onSearch, from: 0, to: 1, chosen: -1, over: -1, hits: new Uint8Array(tree.names.length), visible: new Uint8Array(tree.name.length), found: '' });
    this.lanes = 1 + tree.depth.reduce((a, b) => Math.max(a, b), -1);
    this.tall.style.minHeight = '100%';
    this.tall.style.height = `${this.lanes * FRAME + 4}px`;
    this.bar.append(h('b', '', tree.title));
    this.search = set(h('input'), { type: 'search', placeholder: 'Search', 'aria-label': 'Search names' });
    this.bar.append(this.search);
    this.note = h('span', 'tkw-dim');
    this.bar.append(this.note, h('span', 'tkw-gap'));
    if (tree.tint) this.bar.append(this.legend());
    this.all = this.button('Reset zoom', () => this.zoom(-1), 'Escape');
    this.all.disabled = true;
    this.byParent = this.children();
    this.listen();
    this.idle();
  }

  legend() {
    const key = h('span', 'tkw-dim');
    this.keys = ['slower', 'unchanged', 'faster'].map(words => {
      const sample = h('i', 'tkw-key');
      key.append(sample, words);
      return sample;
    });
    return key;
  }

  theme() {
    this.keys?.forEach((sample, k) => { sample.style.background = this.tinted(1 - k); });
    this.redraw();
  }

  children() {
    const lists = new Map();
    this.tree.parent.forEach((p, k) => { if (!lists.has(p)) lists.set(p, []); lists.get(p).push(k); });
    for (const list of lists.values()) list.sort((a, b) => this.tree.x0[a] - this.tree.x0[b]);
    return lists;
  }

  colour(k) {
    const { tint, slot } = this.tree;
    return tint ? this.tinted(clip(tint[k], -1, 1)) : this.colourOf(slot[k]);
  }

  /** Return the colour of a change: 1 for slower, 0 for unchanged, -1 for faster. */
  tinted(change) {
    const end = change < 0 ? CHANGE.faster : CHANGE.slower, calm = this.isDark ? CHANGE.unchangedInDark : CHANGE.unchanged, share = Math.sqrt(Math.abs(change));
    return hexColour(end.map((v, i) => calm[i] + (v - calm[i]) * share));
  }

  draw() {
    if (!this.begin()) return;
    const { tree, c, from, to } = this, scale = this.w / (to - from), above = this.scroll.scrollTop;
    const reached = new Float64Array(this.lanes).fill(-1);
    c.font = `11px ${this.font}`;
    c.textBaseline = 'middle';
    c.textAlign = 'left';
    let drawn = 0;
    this.visible.fill(0);
    for (let k = 0; k < tree.name.length; k++) {
      const y = tree.depth[k] * FRAME - above, a = (tree.x0[k] - from) * scale, b = (tree.x1[k] - from) * scale;
      if (b <= 0 || a >= this.w || b <= reached[tree.depth[k]] + 0.5) continue; // frames below half a pixel are merged
      reached[tree.depth[k]] = b;
      this.visible[k] = b - a >= 0.5 ? 1 : 0; // after scrolling, if it is below
      if (y < -FRAME || y > this.t) continue;
      this.rect(k, Math.max(0, a), Math.min(this.w, b), y);
      drawn++;
    }
    this.drawn = drawn;
    this.tally();
  }

  /** Count the hits that the zoom shows at least half a pixel wide; frames below a hit are part of it. */
  tally() {
    const { tree, from, to, visible } = this, under = new Uint8Array(tree.name.length);
    let all = 0, seen = 0, share = 0;
    tree.name.forEach((name, k) => {
      const up = tree.parent[k], isUnder = up >= 0 && under[up], isHit = this.hits[name];
      if (isHit) all++;
      if (isHit && visible[k]) { seen++; if (!isUnder) share += Math.min(to, tree.x1[k]) - Math.max(from, tree.x0[k]); }
      under[k] = isUnder || (isHit && visible[k]) ? 1 : 0;
    });
    const frames = seen === all ? many(all, 'frame') : `${count(seen)} of ${many(all, 'frame')} visible`;
    const words = this.found ? `${frames}, ${percent(share / (to - from))} of ${this.all.disabled ? 'the total' : 'the visible width'}` : '';
    if (this.note.textContent !== words) this.note.textContent = words;
  }

  rect(k, a, b, y) {
    const { c, tree } = this, wide = Math.max(0.5, b - a - (b - a > 3 ? 1 : 0)), hit = this.found && this.hits[tree.name[k]];
    const colour = hit ? this.paints.hit : this.colour(k);
    c.globalAlpha = this.found && !hit ? 0.32 : 1;
    c.fillStyle = colour;
    c.fillRect(a, y, wide, FRAME - 1);
    c.globalAlpha = 1;
    if (k === this.chosen || k === this.over) {
      Object.assign(c, { strokeStyle: this.paints.fg, lineWidth: k === this.chosen ? 2 : 1 });
      c.strokeRect(a + 1, y + 1, Math.max(1, wide - 2), FRAME - 3);
    }
    if (wide < LABEL) return;
    c.fillStyle = this.found && !hit ? this.paints.fg : /^#[0-9a-f]{6}$/i.test(colour) ? inkOn(colour) : this.paints.fg;
    c.fillText(this.fitted(tree.names[tree.name[k]], wide - 8), a + 4, y + FRAME / 2);
  }

  /** Truncate a name to a width in pixels. */
  fitted(name, room) {
    let short = name.slice(0, Math.ceil(room / 3));
    if (this.c.measureText(short).width <= room && short.length === name.length) return short;
    while (short && this.c.measureText(`${short}…`).width > room) short = short.slice(0, Math.floor(short.length * 0.9) - 1);
    return short ? `${short}…` : '';
  }

  /** Return the figures of a call path as lines of text. */
  lines(k) {
    const { value, spans, traces, baseline, side, change, presence, baseline_presence: before, unit, whole, parent } = this.tree, up = parent[k];
    const out = [`${duration(value[k])} ${unit}, ${percent(whole ? value[k] / whole : 0)} of the total${up >= 0 && value[up] ? `, ${percent(value[k] / value[up])} of its caller` : ''}`];
    if (baseline) out.push(`${side} ${duration(baseline[k])} (${signed(value[k] - baseline[k])}, self time ${signed(change[k])})`, `requests affected ${fromTo(percent(before[k]), percent(presence[k]))}`);
    else out.push(`requests affected ${percent(presence[k])}; ${many(spans[k], 'span')} in ${many(traces[k], 'request')}`);
    return out;
  }

  idle() {
    const gone = this.tree.gone ? ` ${this.tree.gone}` : '';
    this.status('', this.tree.name.length === 0 ? this.tree.note : `${this.tree.note}${gone} Click to zoom in, Escape to reset. Arrow keys move the selection, / searches.`);
  }

  select(k, { quiet = false } = {}) {
    this.chosen = k;
    if (k < 0) this.idle();
    else { this.status(this.tree.names[this.tree.name[k]], this.lines(k).join('; ')); this.reveal(k); }
    if (!quiet) this.onSelect?.(k);
    this.redraw();
  }

  reveal(k) {
    const y = this.tree.depth[k] * FRAME;
    if (y < this.scroll.scrollTop) this.scroll.scrollTop = y;
    if (y + FRAME > this.scroll.scrollTop + this.scroll.clientHeight) this.scroll.scrollTop = y + FRAME - this.scroll.clientHeight;
    const { x0, x1 } = this.tree;
    if (x1[k] <= this.from || x0[k] >= this.to) this.look(x0[k], x1[k]);
  }

  look(from, to) {
    [this.from, this.to] = to > from ? [from, to] : [0, 1];
    this.all.disabled = this.from === 0 && this.to === 1;
    this.redraw();
  }

  /** Zoom to a frame; -1 shows everything. */
  zoom(k) {
    if (k < 0) { this.look(0, 1); this.select(-1); } else { this.look(this.tree.x0[k], this.tree.x1[k]); this.select(k); }
  }

  find(words, { quiet = false } = {}) {
    const wanted = words.trim().toLowerCase(), { tree } = this;
    this.found = wanted;
    tree.names.forEach((name, k) => { this.hits[k] = wanted && name.toLowerCase().includes(wanted) ? 1 : 0; });
    if (!quiet) this.onSearch?.(words);
    this.redraw();
  }

  hit(event) {
    const at = this.canvas.getBoundingClientRect(), { tree } = this;
    const x = this.from + (event.clientX - at.left) / this.w * (this.to - this.from), lane = Math.floor((event.clientY - at.top + this.scroll.scrollTop) / FRAME);
    let best = -1;
    for (let k = 0; k < tree.name.length; k++) if (tree.depth[k] === lane && tree.x0[k] <= x && x < tree.x1[k]) best = k;
    return best;
  }

  listen() {
    this.on(this.scroll, 'scroll', () => this.redraw());
    this.on(this.canvas, 'pointermove', e => {
      const k = this.hit(e);
      if (k !== this.over) { this.over = k; this.redraw(); }
      if (k < 0) this.tip.hidden = true;
      else this.hint(e, this.tree.names[this.tree.name[k]], this.lines(k));
    });
    this.on(this.canvas, 'pointerleave', () => { this.tip.hidden = true; this.over = -1; this.redraw(); });
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

// ------------------------------------------------------------------------------------------------ 12 tables

/** Make a table sortable, filterable and collapsible. */
export class Table {
  constructor(table) {
    this.table = table;
    this.body = table.tBodies[0];
    this.rows = [...this.body.rows];
    this.short = Number(table.dataset.short) || this.rows.length;
    this.all = false;
    this.wanted = '';
    for (const head of table.tHead.rows[0].cells) this.sortable(head);
    this.tools();
    this.lead();
    this.show();
  }

  sortable(head) {
    const words = head.textContent.trim();
    if (!words) return;
    head.replaceChildren(button(words, () => this.sort(head)));
    if (!head.hasAttribute('aria-sort')) set(head, { 'aria-sort': 'none' });
  }

  tools() {
    const bar = h('div', 'tools');
    this.query = set(h('input'), { type: 'search', placeholder: 'Filter rows', 'aria-label': `Filter rows of ${this.table.caption?.textContent ?? 'the table'}`, spellcheck: 'false', autocomplete: 'off' });
    this.count = set(h('span', 'count'), { role: 'status' });
    this.query.addEventListener('input', () => { this.wanted = this.query.value.trim().toLowerCase(); this.show(); });
    this.query.hidden = this.rows.length <= 6;
    bar.append(this.query, this.count, h('span', 'gap'), button('Download CSV', () => download(`${this.name()}.csv`, this.csv())));
    this.more = button('', () => { this.all = !this.all; this.show(); });
    this.more.className = 'more';
    const box = this.table.closest('.table') ?? this.table;
    this.rest = h('p', 'rest');
    box.before(bar);
    box.after(this.more, this.rest);
  }

  /** Move the leading column to the front while the page is as narrow as a phone. */
  lead() {
    const head = this.table.tHead.rows[0].querySelector('th[data-lead]'), narrow = matchMedia('(max-width:640px)');
    if (!head) return;
    const home = head.cellIndex, move = () => {
      const from = head.cellIndex, to = narrow.matches ? 0 : home;
      if (from !== to) for (const row of this.table.rows) row.insertBefore(row.cells[from], row.cells[to + (from < to)]);
    };
    narrow.addEventListener('change', move);
    move();
  }

  name() { return (this.table.caption?.textContent ?? 'table').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, ''); }

  /** Return all rows as CSV with their sort keys; heads include the unit. */
  csv() {
    const heads = [...this.table.tHead.rows[0].cells], used = heads.map((head, k) => (head.textContent.trim() ? k : -1)).filter(k => k >= 0);
    const words = heads.map(head => head.textContent.trim() + (head.dataset.unit ? ` (${head.dataset.unit})` : ''));
    const value = (row, k) => {
      const cell = row.cells[k];
      return heads[k].classList.contains('num') ? cell.dataset.v ?? cell.textContent.trim() : inert(cell.title || cell.textContent.trim());
    };
    const lines = [used.map(k => words[k]), ...this.rows.map(row => used.map(k => value(row, k)))];
    return csv(lines);
  }

  /** Sort rows stably; missing values are last in both directions. */
  sort(head) {
    const column = head.cellIndex, number = head.classList.contains('num');
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
      const wanted = !this.wanted || this.words(row).includes(this.wanted);
      row.hidden = !wanted;
      fit += wanted;
      row.classList.toggle('folded', wanted && !this.all && fit > this.short);
    }
    if (!this.count) return;
    this.rest.textContent = fit > this.short && !this.all ? `and ${count(fit - this.short)} more rows` : '';
    this.count.textContent = this.wanted ? `${count(fit)} of ${count(this.rows.length)} rows` : '';
    this.more.hidden = fit <= this.short;
    this.more.textContent = this.all ? `Show the first ${this.short}` : `Show all ${count(fit)} rows`;
  }

  /** Return the words of a row, with the whole of shortened names. */
  words(row) { return [...row.cells].map(cell => `${cell.title} ${cell.textContent}`).join(' ').toLowerCase(); }
}

const quoted = text => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const csv = lines => `${lines.map(line => line.map(quoted).join(',')).join('\r\n')}\r\n`;
const inert = text => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text); // a spreadsheet would run it as a formula

/** Download a text as a file. */
function download(name, text) {
  const link = h('a'), address = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  set(link, { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// ------------------------------------------------------------------------------------------------ 13 notebook

/** Entry point of anywidget: draw the model and synchronise the selection. */
function render({ model, el }) {
  const send = name => value => { model.set(name, value); model.save_changes(); };
  const draw = model.get('graph') ? renderMap : model.get('payload') ? renderCanvas : renderWaterfall;
  const [view, acts] = draw(model, el, send, model.get('height'));
  const about = h('p', 'tkw-about', model.get('about') || '');
  if (about.textContent) el.append(about);
  for (const [name, act] of Object.entries(acts)) {
    model.on(name, act);
    if (name.startsWith('change:')) act();
  }
  return () => {
    for (const [name, act] of Object.entries(acts)) model.off(name, act);
    about.remove();
    view.destroy();
  };
}

/** Return a view and the handlers of model changes; likewise below. */
function renderMap(model, el, send, height) {
  const map = new ServiceMap(el, JSON.parse(model.get('graph')), { height, onSelect: send('selected') });
  const select = () => {
    const at = map.graph.nodes.findIndex(node => node.name === model.get('selected'));
    if (at !== (map.chosen ?? -1)) map.focus(at < 0 ? null : at, { quiet: true });
  };
  return [map, { 'change:selected': select }];
}

function renderCanvas(model, el, send, height) {
  const payload = JSON.parse(model.get('payload'));
  if (payload.view === 'heat') {
    const map = new Heat(el, payload, { height, onBrush: send('brush') });
    const choose = () => {
      const brush = model.get('brush');
      if (String(brush) !== String(map.brush ?? [])) map.choose(brush.length ? [...brush] : null, { quiet: true });
    };
    return [map, { 'change:brush': choose }];
  }
  const flame = new Flame(el, payload, { height, onSelect: send('selected'), onSearch: send('search') });
  const select = () => { if (model.get('selected') !== flame.chosen) flame.select(model.get('selected'), { quiet: true }); };
  const find = () => {
    if (model.get('search') === flame.search.value) return;
    flame.search.value = model.get('search');
    flame.find(model.get('search'), { quiet: true });
  };
  return [flame, { 'change:selected': select, 'change:search': find }];
}

function renderWaterfall(model, el, send, height) {
  const asked = new Map();
  let number = 0;
  const ask = (what, take) => { asked.set(++number, take); model.send({ ...what, number }); };
  const answer = (content, buffers) => {
    const take = asked.get(content?.number);
    asked.delete(content?.number);
    take?.(decode(buffers[0]));
  };
  const W = new Waterfall(el, decode(model.get('data')), { height, onSelect: send('row'), onLook: send('brush'), ask: model.send ? ask : null });
  const select = () => { const i = model.get('row'); if (i >= 0 && i !== W.selected) W.select(i, { quiet: true }); };
  const look = () => {
    const [from, to] = model.get('brush').length ? model.get('brush') : [W.T.begin, W.T.end];
    if (from !== W.from || to !== W.to) W.look(from, to, { quiet: true });
  };
  return [W, { 'change:row': select, 'change:brush': look, 'msg:custom': answer }];
}

export default { render };

// ------------------------------------------------------------------------------------------------ 14 report

/** Decode base64, gzipped or not, to bytes. */
export async function inflate(text) {
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), c => c.charCodeAt(0));
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.buffer;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}

/** Draw an embedded view in place of its static image; on failure keep the image and show the reason. */
async function mount(script, host) {
  let view = null;
  try {
    const raw = await inflate(script.textContent.trim()), options = { height: Number(script.dataset.height) || 480 };
    if (script.dataset.view === 'map') view = new ServiceMap(host, JSON.parse(new TextDecoder().decode(raw)), options);
    else view = new Waterfall(host, decode(raw), { ...options, onSelect: row => point(view, row) });
    host.classList.add('live');
  } catch (reason) {
    host.append(h('p', 'failed', `The interactive view could not be drawn (${reason.message}); showing a static image instead.`));
  }
  host.dataset.done = '1';
  return view;
}

/** Set the page's address to the selected span. */
function point(waterfall, row) {
  const span = row < 0 ? '' : `&span=${idOf(waterfall.T, row)}`;
  history.replaceState(null, '', `#trace=${waterfall.T.meta.id}${span}`);
}

/** Follow `#trace=...&span=...` (`calls`: to the fold of equal spans); show a message if it is not in this report. */
async function goTo(doc, hash, mounted) {
  const wanted = new URLSearchParams(hash.slice(1)), id = wanted.get('trace'), calls = wanted.get('calls'), span = wanted.get('span') ?? calls;
  doc.querySelector('.lost')?.remove();
  if (!id) return;
  const place = doc.getElementById(`trace-${id}`), host = place?.querySelector('.view');
  if (!host) return miss(doc, `Trace ${label(id, 80)} has no waterfall in this report.`);
  if (place.tagName === 'DETAILS') place.open = true;
  place.scrollIntoView();
  const view = await mounted(host);
  if (!view || !span) return;
  const row = view.rowOf(span);
  if (row < 0) return miss(doc, `Span ${label(span, 80)} is not in trace ${label(id, 80)}.`);
  view.select(calls ? view.foldOf(row) : row, { quiet: true });
}

function miss(doc, words) {
  const message = set(h('p', 'lost', words), { role: 'alert' });
  doc.querySelector('main').prepend(message);
  message.scrollIntoView();
}

/** Add the button that switches between light and dark; the system's preference comes first. */
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

/** Mark the current section in the table of contents: the last one that starts in the top quarter of the window. */
function follow(doc) {
  const links = [...doc.querySelectorAll('nav a[href^="#"]')].map(link => [doc.getElementById(link.hash.slice(1)), link]).filter(([section]) => section);
  const mark = () => {
    const atEnd = scrollY > 0 && scrollY + innerHeight >= doc.documentElement.scrollHeight - 2; // the last section may be short
    const here = links.findLast(([section]) => section.getBoundingClientRect().top < innerHeight * (atEnd ? 1 : 0.25)) ?? links[0];
    for (const link of links) set(link[1], { 'aria-current': link === here ? 'true' : null });
  };
  const here = new IntersectionObserver(mark, { rootMargin: '0px 0px -75% 0px' });
  for (const [section] of links) here.observe(section);
  addEventListener('scroll', mark, { passive: true });
}

/** Make scrollable regions reachable by keyboard, while they are too wide for the page. */
function reachable(doc) {
  const watch = new ResizeObserver(entries => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
      else target.removeAttribute('tabindex');
    }
  });
  for (const box of doc.querySelectorAll('.chart, .table, .prose pre')) watch.observe(box);
}

/** Start a report: tables at once, views when they scroll near. */
export function bootStatic(doc = document) {
  themeSwitch(doc);
  for (const table of doc.querySelectorAll('table[data-sortable]')) new Table(table);
  follow(doc);
  reachable(doc);
  const scripts = new Map([...doc.querySelectorAll('script[type="application/x-tracekit"]')].map(s => [doc.getElementById(s.dataset.for), s]));
  const drawn = new Map(), mounted = host => {
    near.unobserve(host);
    if (!drawn.has(host)) drawn.set(host, mount(scripts.get(host), host));
    return drawn.get(host);
  };
  const near = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) mounted(target);
  }, { rootMargin: '800px 0px' });
  for (const host of scripts.keys()) near.observe(host);
  for (const link of doc.querySelectorAll('a[data-calls]')) link.href = `#trace=${link.hash.slice(7)}&calls=${link.dataset.calls}`;
  addEventListener('hashchange', () => goTo(doc, location.hash, mounted));
  goTo(doc, location.hash, mounted);
  doc.documentElement.dataset.tkReady = '1';
}
