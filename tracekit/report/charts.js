
// Views of custom report sections besides waterfalls and maps: flame graphs, heat maps and plotly charts.  This text
// follows tracekit.js in the same module.  plotly.js is compressed in the page and inflated when a chart scrolls near.

let plotly = null;

/** Load plotly.js once: the content security policy contains the digest of the inflated text. */
function withPlotly(doc) {
  plotly ??= inflate(doc.getElementById('plotly-script').textContent.trim()).then(raw => {
    const script = doc.createElement('script');
    script.textContent = new TextDecoder().decode(raw);
    doc.head.append(script);
    return globalThis.Plotly;
  });
  return plotly;
}

/** Draw a plotly figure and follow the page's theme: tracekit's colours are exchanged, all others stay. */
async function drawChart(text, host, script) {
  const Plotly = await withPlotly(host.ownerDocument), box = set(h('div', 'plot'), { role: 'figure', 'aria-label': script.dataset.title });
  const { dark } = JSON.parse(text), painted = () => JSON.parse(text, (_, value) => (isDark() && typeof value === 'string' && Object.hasOwn(dark, value) ? dark[value] : value)).figure;
  box.style.height = `${host.clientHeight}px`;
  host.append(box);
  const font = { family: getComputedStyle(host).fontFamily }; // of the page, as everything around it
  const draw = ({ data, layout }) => Plotly.react(box, data, { ...layout, font: { ...layout.font, ...font }, width: undefined, height: undefined, autosize: true }, { responsive: true, displaylogo: false });
  await draw(painted());
  unlink(box);
  box.on('plotly_afterplot', () => unlink(box));
  new MutationObserver(() => draw(painted())).observe(host.ownerDocument.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => draw(painted()));
  if (!host.querySelector('.still')) await keepStill(Plotly, box, host);
}

/** Remove external links from a figure. */
function unlink(box) {
  for (const link of box.querySelectorAll('a')) for (const name of link.getAttributeNames()) if (/href$/.test(name)) link.removeAttribute(name);
}

/** Add a static image for printing to a figure that has none. */
async function keepStill(Plotly, box, host) {
  const picture = set(h('img'), { alt: box.getAttribute('aria-label'), src: await Plotly.toImage(box, { format: 'svg', width: 860, height: box.clientHeight }) });
  host.querySelector('.unseen')?.remove();
  const still = h('div', 'still');
  still.append(picture);
  host.prepend(still);
}

/** Draw a flame graph or a heat map from the state of its widget, without a Python kernel. */
function drawCanvas(text, host) {
  const state = JSON.parse(text), nothing = () => {};
  render({ el: host, model: { get: name => state[name], set: (name, value) => { state[name] = value; }, on: nothing, off: nothing, save_changes: nothing } });
  host.style.minHeight = `${host.lastElementChild.offsetHeight}px`; // a flame is no taller than its frames
}

function bootParts(doc = document) {
  const draw = { chart: drawChart, canvas: drawCanvas };
  const scripts = new Map([...doc.querySelectorAll('script[type="application/x-tracekit-part"]')].map(script => [doc.getElementById(script.dataset.for), script]));
  const near = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      const script = scripts.get(target);
      inflate(script.textContent.trim())
        .then(raw => draw[script.dataset.view](new TextDecoder().decode(raw), target, script))
        .then(() => target.classList.add('live'))
        .catch(reason => target.append(h('p', 'failed', `The interactive view could not be drawn (${reason.message}).`)));
    }
  }, { rootMargin: '200px 0px' });
  for (const host of scripts.keys()) near.observe(host);
}
