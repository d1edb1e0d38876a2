// Takes HTML for a section and changes only what differs, so that scrolling, selecting and hovering
// go on while the figures change. Put before the script that uses it.

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
