
// A chart in a sandboxed frame: the static image with its values.  This text follows frame.js in the same module.

const SVG = 'http://www.w3.org/2000/svg';
const NEAR = 40; // pixels of the image within which the pointer finds a point
const ACROSS = 0.4; // weight of the vertical distance: along a curve the horizontal one decides

/** Return the image as an element: text of data stays text, and the policy of the page runs no script in it. */
function imageOf(text) {
  const svg = document.importNode(new DOMParser().parseFromString(text, 'image/svg+xml').documentElement, true);
  Object.assign(svg.style, { display: 'block', width: '100%', maxWidth: `${svg.getAttribute('width')}px`, height: 'auto' });
  return svg;
}

/** Exchange the colours of the image with those of a theme. */
function painter(svg, dark) {
  const painted = [...svg.querySelectorAll('*')].flatMap(part => ['fill', 'stroke'].filter(name => Object.hasOwn(dark, part.getAttribute(name) ?? '')).map(name => [part, name, part.getAttribute(name)]));
  return theme => { for (const [part, name, colour] of painted) part.setAttribute(name, theme === 'dark' ? dark[colour] : colour); };
}

class Reader {
  constructor(svg, series) {
    Object.assign(this, { svg, hidden: new Set(), at: -1 });
    this.spots = series.flatMap(({ spots }, k) => spots.map(([x, y, w, h, words]) => ({ k, x, y, w, h, words })));
    this.label = Object.assign(document.createElement('div'), { role: 'status' });
    Object.assign(this.label.style, { position: 'fixed', pointerEvents: 'none', font: '12px/1.4 system-ui, sans-serif', padding: '3px 8px', borderRadius: '4px', border: '1px solid #8695a6', maxWidth: '60%', whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' });
    this.mark = document.createElementNS(SVG, 'rect');
    for (const [name, value] of Object.entries({ fill: 'none', stroke: '#1976d2', 'stroke-width': 2, 'pointer-events': 'none', rx: 4 })) this.mark.setAttribute(name, value);
    svg.append(this.mark);
    document.body.append(this.label);
    svg.setAttribute('tabindex', '0');
    svg.addEventListener('pointermove', event => this.point(event));
    svg.addEventListener('pointerdown', event => this.point(event));
    svg.addEventListener('pointerleave', () => this.show(-1));
    svg.addEventListener('keydown', event => this.key(event));
    svg.addEventListener('blur', () => this.show(-1));
    series.forEach(({ name }, k) => this.legend(name, k));
    this.show(-1);
  }

  /** Find the value below or next to the pointer. */
  point(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    let best = NEAR, found = -1;
    this.spots.forEach((spot, n) => {
      if (this.hidden.has(spot.k)) return;
      const dx = Math.max(spot.x - x, 0, x - spot.x - spot.w), dy = Math.max(spot.y - y, 0, y - spot.y - spot.h);
      const far = spot.w ? (dx || dy ? NEAR : -1) : Math.hypot(dx, ACROSS * dy);
      if (far < best) [best, found] = [far, n];
    });
    this.show(found);
  }

  /** Step through the values with the arrow keys; Escape ends. */
  key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') this.show(-1);
    if (!step) return;
    event.preventDefault();
    const count = this.spots.length;
    let n = this.at < 0 && step < 0 ? count : this.at;
    do n += step; while (this.spots[n] && this.hidden.has(this.spots[n].k));
    if (this.spots[n]) this.show(n);
  }

  /** Mark a value and show its words; -1 for none. */
  show(n) {
    const spot = this.spots[n];
    this.at = n;
    this.mark.setAttribute('visibility', spot ? 'visible' : 'hidden');
    this.label.style.visibility = spot ? 'visible' : 'hidden';
    if (!spot) return;
    const size = spot.w ? 0 : 5;
    for (const [name, value] of Object.entries({ x: spot.x - size, y: spot.y - size, width: spot.w + 2 * size, height: spot.h + 2 * size })) this.mark.setAttribute(name, value);
    this.label.textContent = spot.words;
    const place = new DOMPoint(spot.x + spot.w / 2, spot.y).matrixTransform(this.svg.getScreenCTM());
    const { width, height } = this.label.getBoundingClientRect(), above = place.y - height - 10;
    this.label.style.left = `${Math.max(2, Math.min(place.x + 8, innerWidth - width - 4))}px`;
    this.label.style.top = `${above < 2 ? place.y + 14 : above}px`;
  }

  /** Make an entry of the legend a button that hides and shows its series. */
  legend(name, k) {
    const entry = this.svg.querySelector(`.tk-legend${k}`), drawn = this.svg.querySelector(`.tk-series${k}`);
    if (!entry || !drawn) return;
    const turn = () => {
      if (!this.hidden.delete(k)) this.hidden.add(k);
      const isShown = !this.hidden.has(k);
      drawn.setAttribute('visibility', isShown ? 'visible' : 'hidden');
      entry.setAttribute('opacity', isShown ? 1 : 0.45);
      entry.setAttribute('aria-pressed', isShown);
      this.show(-1);
    };
    for (const [key, value] of Object.entries({ role: 'button', tabindex: 0, 'aria-label': name, 'aria-pressed': true })) entry.setAttribute(key, value);
    entry.style.cursor = 'pointer';
    entry.addEventListener('click', turn);
    entry.addEventListener('keydown', event => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); turn(); } });
  }
}

function bootChart() {
  const [state, data] = frameData(), svg = imageOf(new TextDecoder().decode(data));
  const paint = painter(svg, state.dark);
  svg.setAttribute('role', 'group');
  document.body.append(svg);
  const { label } = new Reader(svg, state.series);
  followPage(state.frame, theme => {
    paint(theme);
    [label.style.background, label.style.color] = [PAPER[theme], MUTED[theme]];
  });
  document.documentElement.dataset.tkReady = '1';
}

bootChart();
