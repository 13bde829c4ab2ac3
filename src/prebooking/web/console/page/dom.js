// Elements made of data: text is always text, so nothing that a gym says can become markup.

export const $ = (id) => document.getElementById(id);

function make(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (tag, attributes, ...children) => make(document.createElement(tag), attributes, children);

export const s = (tag, attributes, ...children) =>
  make(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** Whoever works in a list's item by keyboard stays there, whatever `change` does to the list. */
export function keepingFocus(list, change) {
  const held = list.contains(document.activeElement) ? document.activeElement : null;
  const { id } = held?.closest("[data-id]")?.dataset ?? {};
  change();
  if (!held || held === document.activeElement) return;
  const item = list.querySelector(`[data-id="${CSS.escape(id)}"]`);
  (item?.querySelector(`[data-does="${held.dataset.does}"]`) ?? item)?.focus();
}

/** Shows a problem where it arose, or takes it away. */
export function complain(element, problem) {
  element.hidden = !problem;
  element.textContent = problem ? problem.message : "";
}

/** Tells a screen reader what the others see. */
export function say(text) {
  $("said").textContent = text;
}

/** Runs what a button stands for, once at a time. */
export async function busy(button, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
  }
}
