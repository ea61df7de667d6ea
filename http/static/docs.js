"use strict";

// Draws /openapi.json. Everything is set as text, so nothing in the document can become markup.

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(tag, text, ...children) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

/** An element with a sentence in it, in which `what stands so` is code. */
function prose(tag, text = "") {
  return element(tag, "", ...text.split("`").map((part, n) => (n % 2 ? element("code", part) : part)));
}

function code(text) {
  const made = element("pre", text);
  made.tabIndex = 0; // what is too wide can be scrolled without a mouse
  return made;
}

function resolve(api, schema) {
  return schema.$ref ? schema.$ref.slice(2).split("/").reduce((at, key) => at[key], api) : schema;
}

/** An example for each kind of body; where there is none, at least what it is. */
function body(content) {
  return Object.entries(content).flatMap(([media, form]) => {
    const shown = Object.entries(form.examples ?? {});
    if (!shown.length) return [element("p", media)];
    return shown.flatMap(([name, { value }]) =>
      [element("p", shown.length > 1 ? `${media} · ${name}` : media), code(JSON.stringify(value, null, 2))]);
  });
}

/** The problems that a status can be, each leading to its page. */
function problems(answer) {
  return Object.entries(answer.content?.["application/problem+json"]?.examples ?? {}).map(([name, { value }]) => {
    const link = element("a", name);
    link.href = value.type;
    return element("li", "", link, ` – ${value.title}`);
  });
}

/** The call from a terminal, up to what the caller must fill in. */
function curl(method, path, about) {
  const parts = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${location.origin}${path}`];
  if (about.security.length) parts.push("-H 'Authorization: Bearer KEY'");
  const json = about.requestBody?.content["application/json"];
  if (json) parts.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(Object.values(json.examples)[0].value)}'`);
  return code(parts.join(" \\\n     "));
}

function operation(api, method, path, about) {
  const label = element("span", method.toUpperCase());
  label.className = "method";
  const drawn = element("details", "", element("summary", "", label, element("code", path), " ", prose("span", about.summary)));
  if (about.description) drawn.append(prose("p", about.description));
  const [role] = about.security?.[0]?.bearer ?? [];
  if (role) drawn.append(element("p", `Needs a key with the scope “${role}”, if keys are needed.`));
  const rows = (about.parameters ?? []).map((parameter) => resolve(api, parameter)).map((parameter) =>
    element("tr", "", element("td", "", element("code", parameter.name)), element("td", parameter.in),
      prose("td", parameter.description)));
  if (rows.length) drawn.append(element("table", "", ...rows));
  if (about.security) drawn.append(curl(method, path, about));
  if (about.requestBody) drawn.append(element("h3", "Body"), ...body(about.requestBody.content));
  drawn.append(element("h3", "Answers"));
  for (const [status, answer] of Object.entries(about.responses ?? {})) {
    const found = problems(answer);
    drawn.append(element("p", "", element("strong", `${status} `), found.length ? "" : answer.description));
    if (found.length) drawn.append(element("ul", "", ...found));
    else if (answer.content) drawn.append(...body(answer.content));
  }
  return drawn;
}

function draw(api) {
  document.getElementById("about").textContent = api.info.description;
  const place = document.getElementById("operations");
  const groups = { ...api.paths, ...Object.fromEntries(
    Object.entries(api.webhooks ?? {}).map(([name, item]) => [`webhook ${name}`, item])) };
  for (const tag of api.tags) {
    place.append(element("h2", tag.name), prose("p", tag.description));
    for (const [path, item] of Object.entries(groups))
      for (const method of METHODS)
        if (item[method]?.tags.includes(tag.name)) place.append(operation(api, method, path, item[method]));
  }
}

fetch("/openapi.json").then((answer) => answer.json()).then(draw)
  .catch(() => { document.getElementById("about").textContent = "/openapi.json cannot be read."; });
