"use strict";

// Draws /openapi.json. Everything is set as text, so nothing in the document can become markup.

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(tag, text, ...children) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function resolve(api, schema) {
  return schema.$ref ? schema.$ref.slice(2).split("/").reduce((at, key) => at[key], api) : schema;
}

function body(api, content) {
  const [media, form] = Object.entries(content)[0];
  const shown = form.example ?? (form.schema ? resolve(api, form.schema) : {});
  return [element("p", media), element("pre", JSON.stringify(shown, null, 2))];
}

function operation(api, method, path, about) {
  const label = element("span", method.toUpperCase());
  label.className = "method";
  const drawn = element("details", "", element("summary", "", label, element("code", path), ` ${about.summary}`));
  if (about.description) drawn.append(element("p", about.description));
  const rows = (about.parameters ?? []).map((parameter) => resolve(api, parameter)).map((parameter) =>
    element("tr", "", element("td", "", element("code", parameter.name)), element("td", parameter.in),
      element("td", parameter.description)));
  if (rows.length) drawn.append(element("table", "", ...rows));
  if (about.requestBody) drawn.append(element("strong", "Body"), ...body(api, about.requestBody.content));
  for (const [status, answer] of Object.entries(about.responses ?? {})) {
    drawn.append(element("p", "", element("strong", `${status} `), answer.description));
    if (status < 300 && answer.content) drawn.append(...body(api, answer.content));
  }
  return drawn;
}

function draw(api) {
  document.getElementById("about").textContent = api.info.description;
  const place = document.getElementById("operations");
  const groups = { ...api.paths, ...Object.fromEntries(
    Object.entries(api.webhooks ?? {}).map(([name, item]) => [`webhook ${name}`, item])) };
  for (const tag of api.tags) {
    place.append(element("h2", tag.name), element("p", tag.description));
    for (const [path, item] of Object.entries(groups))
      for (const method of METHODS)
        if (item[method]?.tags.includes(tag.name)) place.append(operation(api, method, path, item[method]));
  }
}

fetch("/openapi.json").then((answer) => answer.json()).then(draw)
  .catch(() => { document.getElementById("about").textContent = "/openapi.json cannot be read."; });
