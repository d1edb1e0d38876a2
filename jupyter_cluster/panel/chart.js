// What the pointer is at in the chart: a line of words beside it, read from the lines' own points.
// The tip stands outside of the sections, which are drawn anew while somebody points.

function pointsOf(plot, of) {
  const line = plot.querySelector(`polyline.jc-of-${of}`);
  return line ? line.getAttribute("points").split(" ").map((pair) => pair.split(",").map(Number)) : [];
}

// Of a line of steps two points may stand at one place: the last one holds from there on.
function valueAt(points, x, top, isStep) {
  let found = null;
  for (const point of points) {
    if (isStep ? point[0] > x && found : found && Math.abs(point[0] - x) > Math.abs(found[0] - x)) break;
    found = point;
  }
  return found && { x: found[0], value: (1 - found[1] / 100) * top };
}

function wordsAt(plot, x) {
  const { begin, end, offset, rateTop, nodesTop, unit } = plot.dataset;
  const rate = valueAt(pointsOf(plot, "rate"), x, Number(rateTop), false);
  if (!rate) return null;
  const counted = (of) => {
    const found = valueAt(pointsOf(plot, of), rate.x, Number(nodesTop), true);
    return found && Math.round(found.value);
  };
  const moment = Number(begin) + (rate.x / 1000) * (Number(end) - Number(begin)) + Number(offset);
  const clock = new Date(moment * 1000).toISOString().slice(11, 19);
  const booting = counted("pending");
  const parts = [clock, `${rate.value.toFixed(1)} ${unit}s/s`, `${counted("nodes")} ready`];
  if (booting) parts.push(`${booting} booting`);
  return { x: rate.x, words: parts.join(" · ") };
}

// Follows the pointer in `root`, whose position is not static.
function followPointer(root) {
  const tip = document.createElement("div");
  tip.className = "jc-tip";
  tip.hidden = true;
  root.append(tip);
  root.addEventListener("pointermove", (event) => {
    const plot = event.target.closest(".jc-plot");
    const svg = plot && plot.querySelector("svg");
    const place = svg && svg.getBoundingClientRect();
    const found = svg && wordsAt(plot, ((event.clientX - place.left) / place.width) * 1000);
    tip.hidden = !found;
    if (!found) return;
    const around = root.getBoundingClientRect();
    const left = place.left - around.left + (found.x / 1000) * place.width;
    tip.textContent = found.words;
    tip.style.top = `${place.top - around.top}px`;
    tip.style.left = `${left}px`;
    tip.classList.toggle("jc-flip", left > around.width / 2);
  });
  root.addEventListener("pointerleave", () => (tip.hidden = true));
}
