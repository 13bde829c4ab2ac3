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

/** Puts `fresh` in the place of `old`; whoever worked there by keyboard stays where they were. */
export function swap(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement.dataset.does : undefined;
  old.replaceWith(fresh);
  if (focused) (fresh.querySelector(`[data-does="${focused}"]`) ?? fresh).focus();
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
