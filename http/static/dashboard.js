// The dashboard's frame: who is signed in, which instance is looked at, and what is new.

import { call, get, onSignedOut } from "./api.js";
import { byId, field, form, h, say } from "./dom.js";
import { Instance } from "./instance.js";
import { InstanceList } from "./list.js";
import { Live } from "./live.js";
import { Pace } from "./pace.js";
import { forgetAll } from "./secret.js";
import { LANGUAGES, language, t } from "./words.js";

const LIST_EVERY_MS = 1000;

let live = null;
let shown = null;

function languageChoice() {
  const choice = h("select", { "aria-label": t("language"), change: () => {
    localStorage.setItem("language", choice.value);
    location.reload();
  } }, ...Object.entries(LANGUAGES).map(([code, [name]]) =>
    h("option", { value: code, lang: code, selected: code === language }, name)));
  return choice;
}

function drawBar(session) {
  const signOut = session.signedIn && session.needsKey
    ? h("button", { type: "button", click: () =>
      call("DELETE", "/session").then(start, (problem) => say(problem.message, "bad")) }, t("signOut")) : null;
  byId("bar").replaceChildren(
    ...[session.sandbox ? h("span", { class: "tag", title: t("sandboxNote") }, t("sandbox")) : null,
      h("span", { id: "liveness", role: "status" }),
      h("a", { href: "/docs" }, t("docs")), languageChoice(), signOut].filter(Boolean));
}

function drawLiveness(kind) {
  const place = byId("liveness");
  if (!place || place.dataset.kind === kind) return;
  place.dataset.kind = kind;
  place.textContent = t(kind);
}

function drawSignIn() {
  const key = h("input", { type: "password", name: "key", autocomplete: "current-password", required: true });
  byId("main").replaceChildren(h("section", { class: "card signin" }, h("h2", {}, t("signIn")),
    form({ id: "sign-in" }, async () => {
      await call("PUT", "/session", { key: key.value });
      await start();
      byId("main").focus();
    }, field(t("key"), key, t("keyHint")), h("button", { class: "primary" }, t("signIn")))));
  key.focus();
}

function chosen() {
  const [, name] = location.hash.match(/^#\/instances\/(.+)$/) ?? [];
  try {
    return name ? decodeURIComponent(name) : null;
  } catch {
    return null; // somebody typed half an escape
  }
}

function drawHouse(session) {
  const may = (scope) => session.scopes.includes(scope);
  const list = new InstanceList(session);
  const listPace = new Pace(LIST_EVERY_MS, () => list.refresh().catch(() => {}));
  const place = h("section", { id: "detail", "aria-label": t("choose") });
  byId("main").replaceChildren(list.element, place);

  const route = () => {
    shown?.close();
    shown = null;
    const name = chosen();
    document.title = name ? `${name} · chatbot-erp` : "chatbot-erp";
    byId("main").dataset.view = name ? "detail" : "list";
    list.choose(name);
    if (name) {
      shown = new Instance(name, { may, sandbox: session.sandbox });
      place.setAttribute("aria-label", name);
      place.replaceChildren(shown.element);
      shown.open().then(() => shown?.focus()).catch((problem) => say(problem.message, "bad"));
    } else {
      place.setAttribute("aria-label", t("choose"));
      place.replaceChildren(list.overview);
    }
  };
  window.onhashchange = route;

  live = new Live(session, {
    onKind: drawLiveness,
    onNews: async (events, missed = false) => {
      shown?.take(events, missed);
      if (events === null) await list.refresh();
      else listPace.soon();
    },
  });
  list.refresh().catch((problem) => say(problem.message, "bad"));
  route();
  live.begin();
}

async function start() {
  live?.end();
  shown?.close();
  shown = live = null;
  document.documentElement.lang = language === "pt" ? "pt-BR" : "en";
  byId("skip").textContent = t("skip");
  let session;
  try {
    session = await get("/session");
  } catch (problem) {
    say(problem.message, "bad");
    setTimeout(start, 2000);
    return;
  }
  drawBar(session);
  if (session.signedIn) drawHouse(session);
  else {
    forgetAll();
    drawSignIn();
  }
}

onSignedOut.listener = start;
start();
