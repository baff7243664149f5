"use strict";
// Draws the figures one after the other, and zooms their time axes by buttons.
(() => {
  const documents = new Map();
  const waiting = Array.from(document.querySelectorAll("script[type='application/json'][data-chart]"));

  async function next() {
    const item = waiting.shift();
    if (item === undefined) {
      document.documentElement.dataset.drawn = "all";
      return;
    }
    const key = item.dataset.chart;
    try {
      const manager = await Bokeh.embed.embed_item(JSON.parse(item.textContent), key);
      documents.set(key, manager.roots[0].model.document);
    } catch (error) {
      document.querySelector(`#figure-${key} .failed`).classList.remove("unseen");
      console.error(`${key}: ${error}`);
    }
    setTimeout(next, 0);
  }

  function zoomed(range, how) {
    const [first, last] = range.bounds;
    const middle = (range.start + range.end) / 2;
    const size = range.end - range.start;
    let [start, end] = [range.start, range.end];
    if (how === "in") [start, end] = [middle - size / 4, middle + size / 4];
    if (how === "out") [start, end] = [middle - size, middle + size];
    if (how === "earlier") [start, end] = [start - size / 2, end - size / 2];
    if (how === "later") [start, end] = [start + size / 2, end + size / 2];
    if (how === "all") [start, end] = [first, last];
    if (start < first) [start, end] = [first, Math.min(last, first + end - start)];
    if (end > last) [start, end] = [Math.max(first, last - (end - start)), last];
    range.setv({ start, end });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-zoom]");
    const found = button && documents.get(button.dataset.chart);
    if (found) zoomed(found.get_model_by_name("time"), button.dataset.zoom);
  });

  // Paper is narrower than most screens, and a canvas keeps the size it was drawn in. What stands in
  // place of a wide figure is unfolded.
  const unfolded = [];
  window.addEventListener("beforeprint", () => {
    for (const numbers of document.querySelectorAll("details.paper:not([open])")) {
      numbers.open = true;
      unfolded.push(numbers);
    }
    for (const drawn of document.querySelectorAll(".drawn")) {
      drawn.style.zoom = String(Math.min(1, 660 / drawn.clientWidth));
    }
  });
  window.addEventListener("afterprint", () => {
    for (const numbers of unfolded.splice(0)) numbers.open = false;
    for (const drawn of document.querySelectorAll(".drawn")) drawn.style.zoom = "";
  });

  next();
})();
