// Playing with the built-in network: a phone that scans, a contact who writes, and things that go wrong.

import { call, post } from "./api.js";
import { field, form, h, say } from "./dom.js";
import { t } from "./words.js";

const FAULTS = ["drop", "stream_error", "silence", "slow_acks", "refuse_send", "refuse", "replaced", "banned", "logged_out"];

function number(value) {
  return h("input", { required: true, inputmode: "tel", autocomplete: "off", value });
}

export class SandboxCard {
  #path;

  /** `scan` is a form of its own, to stand where the code is. */
  constructor(name, refresh) {
    this.#path = `/sandbox/${encodeURIComponent(name)}`;
    this.scan = this.#scanForm(refresh);
    this.element = h("section", { class: "card tools", id: "sandbox", hidden: true }, h("h3", {}, t("tools")),
      h("p", { class: "quiet" }, t("sandboxNote")), this.#contactForm(), this.#faultsForm());
  }

  /** As the instance is seen now; null once it is gone. */
  show(view) {
    this.element.hidden = !view?.user;
  }

  #scanForm(refresh) {
    // A number that nobody had before, so that each instance gets a phone of its own.
    const phone = number(`55119${String(Date.now()).slice(-8)}`);
    return form({ id: "sandbox-scan" }, async () => {
      await post(`${this.#path}/scan`, { number: phone.value });
      say(t("scanned"));
      await refresh();
    }, h("h4", {}, t("tools")), field(t("scanNumber"), phone), h("button", {}, t("scan")));
  }

  #contactForm() {
    const contact = number("559199999999");
    const text = h("textarea", { required: true, rows: "2" }, "Olá!");
    return form({ id: "sandbox-contact" }, async () => {
      await post(`${this.#path}/message`, { number: contact.value, message: text.value });
      say(t("contactSent"));
    }, field(t("contact"), contact), field(t("text"), text), h("button", {}, t("contactSend")));
  }

  #faultsForm() {
    const fault = h("select", {}, ...FAULTS.map((each) => h("option", { value: each }, t(`fault.${each}`))));
    const heal = h("button", { type: "button", click: async () => {
      await call("DELETE", `${this.#path}/faults`).then(() => say(t("healed")), (problem) => say(problem.message, "bad"));
    } }, t("heal"));
    return form({ id: "sandbox-faults" }, async () => {
      await post(`${this.#path}/faults`, { fault: fault.value });
      say(t("played", { fault: fault.selectedOptions[0].textContent }));
    }, field(t("fault"), fault), h("div", { class: "buttons" }, h("button", {}, t("play")), heal));
  }
}
