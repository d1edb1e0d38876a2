// The panel in a notebook: sections of HTML, which `show` of morph.js keeps up to date, and buttons. Each view draws
// what the model holds when it appears, whenever that is.

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
    if (input.dataset.limit) found.min_workers[input.dataset.limit] = count;
    else found.max_workers = count;
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
  followPointer(el);
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
