// A phone for the instance: the QR code, which rotates, and the code to type instead.

import { at, post } from "./api.js";
import { field, form, h } from "./dom.js";
import { t } from "./words.js";

const LOOK_EVERY_S = 2;

export class Link {
  #name;
  #refresh;
  #image = h("img", { class: "qr", alt: t("qr"), width: "264", height: "264", hidden: true });
  #left = h("progress", { max: "60", "aria-label": t("qr"), hidden: true });
  #words = h("p", { class: "quiet" }, t("qrWait"));
  #code = h("p", { class: "code", role: "status" });
  #expiresAt = null;
  #timer = null;
  #ticks = 0;

  /** `others` are forms that stand beside the code. */
  constructor(name, refresh, ...others) {
    this.#name = name;
    this.#refresh = refresh;
    const phone = h("input", { name: "phone", required: true, inputmode: "tel", autocomplete: "off" });
    this.element = h("section", { class: "card link", id: "link", hidden: true }, h("h3", {}, t("link")), h("p", {}, t("linkText")),
      h("div", { class: "scan" }, this.#image, this.#left, this.#words),
      h("div", {}, form({ id: "pairing" }, async () => {
        const { code } = await post(at(this.#name, "/pairing-code"), { number: phone.value });
        this.#code.replaceChildren(t("pairingCode"), " ", h("strong", {}, code));
      }, h("h4", {}, t("pairing")), field(t("phone"), phone), h("button", {}, t("pairingGet")), this.#code), ...others));
  }

  /** As an instance is seen now; null once it is gone. */
  show(view) {
    const waits = view?.status === "SCAN_QR_CODE";
    this.element.hidden = !waits;
    if (!waits) {
      this.close();
      this.#image.removeAttribute("src");
      this.#image.hidden = this.#left.hidden = true;
      this.#expiresAt = null;
      this.#code.replaceChildren();
      return;
    }
    if (view.qr && view.qrExpiresAt !== this.#expiresAt) {
      this.#expiresAt = view.qrExpiresAt;
      // The query only tells the browser that it is another picture; nothing of the code is in it.
      this.#image.src = `${at(this.#name, "/qr")}?until=${encodeURIComponent(view.qrExpiresAt)}`;
      this.#image.hidden = this.#left.hidden = false;
      this.#left.max = Math.max(1, Math.round((Date.parse(view.qrExpiresAt) - Date.now()) / 1000));
    }
    this.#timer ??= setInterval(() => this.#tick(), 1000);
    this.#tick();
  }

  close() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #tick() {
    if (this.#expiresAt !== null) {
      const left = Math.max(0, Math.round((Date.parse(this.#expiresAt) - Date.now()) / 1000));
      this.#left.value = left;
      this.#words.textContent = t("qrLeft", { s: left });
    }
    this.#ticks += 1;
    if (this.#ticks % LOOK_EVERY_S === 0) this.#refresh().catch(() => {});
  }
}
