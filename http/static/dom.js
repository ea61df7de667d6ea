// Elements without markup: every text stays text, whatever somebody on WhatsApp wrote.

/** An element. Attributes that are functions listen; false and null are left out; strings among children are text. */
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

const SAID_MS = 8000;
let silence = null;

/** Tell everybody, those who listen too, for a while. */
export function say(text, kind = "good") {
  const place = byId("said");
  place.className = kind;
  place.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => place.replaceChildren(), SAID_MS);
}

let labels = 0;

/** Words with their values, as a definition list. */
export function facts(pairs) {
  return pairs.map(([word, value]) => h("div", {}, h("dt", {}, word), h("dd", {}, String(value))));
}

/** A label and its field, as one block. */
export function field(text, control, hint = null) {
  control.id ||= `field-${(labels += 1)}`;
  const note = hint && h("small", { id: `${control.id}-hint` }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, text), control, note);
}

/** A form that cannot be sent twice at once, and that says what went wrong next to what was typed. */
export function form(attributes, onSubmit, ...children) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const made = h("form", { ...attributes, submit: async (event) => {
    event.preventDefault();
    const held = document.activeElement;
    const buttons = [...made.querySelectorAll("button")].filter((button) => !button.disabled);
    for (const button of buttons) button.disabled = true;
    wrong.textContent = "";
    try {
      await onSubmit(made);
    } catch (problem) {
      wrong.textContent = problem.message;
    } finally {
      for (const button of buttons) button.disabled = false;
      if (document.activeElement === document.body) held.focus(); // a button that is disabled lets go of it
    }
  } }, ...children, wrong);
  return made;
}
