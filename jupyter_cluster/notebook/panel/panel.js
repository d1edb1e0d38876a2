// The panel in the browser: takes HTML for each of its sections and changes only what differs, so
// that scrolling, selecting and hovering go on while the figures change.

function key(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
}

function sameKind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b);
}

function morphAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name)) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) === value) continue;
    from.setAttribute(name, value);
    // An input that somebody has typed into no longer follows its attribute.
    if (name === "value") from.value = value;
  }
}

function morph(from, to) {
  if (from.nodeType === Node.TEXT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  if (from.isEqualNode(to)) return;
  morphAttributes(from, to);
  morphChildren(from, to);
}

function morphChildren(from, to) {
  const keyed = new Map();
  for (const child of from.childNodes) if (key(child)) keyed.set(key(child), child);
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const known = key(wanted) && keyed.get(key(wanted));
    if (known && known !== at) from.insertBefore(known, at);
    const current = known || at;
    if (current && sameKind(current, wanted)) {
      morph(current, wanted);
      at = current.nextSibling;
    } else {
      from.insertBefore(wanted, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function show(section, html) {
  // What somebody is typing into is left alone until they have done.
  const active = section.ownerDocument.activeElement;
  if (active && active.tagName === "INPUT" && section.contains(active)) return;
  const template = document.createElement("template");
  template.innerHTML = html;
  morphChildren(section, template.content);
}

// A question in the place of the button; no dialog, which would block the page.
function ask(button, question, onYes) {
  const box = document.createElement("span");
  box.className = "jc-ask";
  box.append(`${question} `);
  for (const [text, action] of [["yes", onYes], ["no", () => {}]]) {
    const choice = document.createElement("button");
    choice.textContent = text;
    if (text === "yes") choice.className = "jc-danger";
    choice.addEventListener("click", (event) => {
      event.stopPropagation();
      box.replaceWith(button);
      action();
    });
    box.append(choice, " ");
  }
  button.replaceWith(box);
}

function limits(section) {
  const found = { max_workers: null, min_workers: {} };
  for (const input of section.querySelectorAll("input")) {
    const count = Number(input.value);
    if (input.dataset.maxWorkers) found.max_workers = count;
    else found.min_workers[input.dataset.minWorkers] = count;
  }
  return found;
}

function render({ model, el }) {
  el.classList.add("jc-panel");
  const listeners = [];
  for (const name of model.get("sections")) {
    const section = document.createElement("div");
    section.className = `jc-${name}`;
    el.append(section);
    const update = () => show(section, model.get(name));
    model.on(`change:${name}`, update);
    listeners.push([`change:${name}`, update]);
    update();
  }
  el.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do]");
    if (!button) return;
    const typed = el.querySelector("input:focus");
    if (typed) typed.blur(); // JupyterLab leaves the focus where it was
    const send = () => {
      const message = { do: button.dataset.do, job: button.dataset.job || null };
      if (message.do === "scale") message.limits = limits(button.closest(".jc-controls"));
      model.send(message);
    };
    if (button.dataset.ask) ask(button, button.dataset.ask, send);
    else send();
  });
  return () => listeners.forEach(([name, update]) => model.off(name, update));
}

export default { render };
