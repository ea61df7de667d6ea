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

/** For each kind of body what it can be: of several forms, one to open for each. */
function body(api, content) {
  return Object.entries(content).flatMap(([media, { schema = {}, examples = {} }]) => {
    if (!schema.oneOf) return [element("p", media), ...form(api, schema, Object.values(examples)[0])];
    return [element("p", media), ...schema.oneOf.map((each) => {
      const { title, description } = resolve(api, each);
      return element("details", "", element("summary", "", element("code", title), prose("span", ` – ${description}`)),
        ...form(api, each, examples[title]));
    })];
  });
}

/** An example, where there is one, and the fields. */
function form(api, schema, example) {
  return [...(example ? [code(JSON.stringify(example.value, null, 2))] : []), ...table(fields(api, schema))];
}

/** A row for each field of an object, or of each object in a list; below it those for what is in it. */
function fields(api, schema, path = "", within = []) {
  const objects = alternatives(api, schema).map((each) => resolve(api, each.items ?? each));
  return objects.filter((each) => each.properties && !within.includes(each)).flatMap((object) =>
    Object.entries(object.properties).flatMap(([name, field]) => [
      line(path + name, object.required?.includes(name), kind(api, field), field.description ?? resolve(api, field).description),
      ...fields(api, field, `${path}${name}.`, [...within, object])]));
}

function alternatives(api, schema) {
  const found = resolve(api, schema);
  return found.anyOf?.map((each) => resolve(api, each)) ?? [found];
}

/** What a value can be, with its limits. */
function kind(api, schema) {
  const { default: usual } = resolve(api, schema);
  const kinds = alternatives(api, schema).map((each) => [sort(api, each), ...limits(each)].filter(Boolean).join(", "));
  return kinds.join(" or ") + ([undefined, null, ""].includes(usual) ? "" : `, default \`${JSON.stringify(usual)}\``);
}

function sort(api, { enum: words, const: word, oneOf: forms, items, format, contentMediaType, type }) {
  if (items) return `list of ${kind(api, items)}`;
  if (forms) return "one of several forms";
  return (words ?? (word && [word]))?.map((each) => `\`${each}\``).join(", ") ?? format ?? contentMediaType ?? type ?? "anything";
}

function limits({ minLength, maxLength, minItems, maxItems, minimum, maximum, exclusiveMinimum, pattern }) {
  return [span(minLength, maxLength, " characters"), span(minItems, maxItems, " items"), span(minimum, maximum, ""),
    exclusiveMinimum !== undefined && `above ${exclusiveMinimum}`, pattern && `\`${pattern}\``];
}

function span(least, most, unit) {
  if (least === undefined) return most !== undefined && `at most ${most}${unit}`;
  return most === undefined ? `at least ${least}${unit}` : `${least} to ${most}${unit}`;
}

/** A row: its name, whether it must be there and what it can be; and beside that what it says. */
function line(name, required, what, meaning) {
  const steps = name.split(/(?<=\.)|(?=[A-Z])/).flatMap((step) => [step, element("wbr")]);
  const needed = required ? [" ", element("em", "required")] : [];
  const head = element("th", "", element("code", "", ...steps), ...needed, prose("small", what));
  head.scope = "row";
  return element("tr", "", head, prose("td", meaning));
}

function table(lines) {
  return lines.length ? [element("table", "", ...lines)] : [];
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

/** An operation, closed; it is drawn when somebody opens it, for all of them together are long. */
function operation(api, method, path, about) {
  const label = element("span", method.toUpperCase());
  label.className = "method";
  const drawn = element("details", "", element("summary", "", label, element("code", path), " ", prose("span", about.summary)));
  drawn.addEventListener("toggle", () => drawn.append(...details(api, method, path, about)), { once: true });
  return drawn;
}

function details(api, method, path, about) {
  const [role] = about.security?.[0]?.bearer ?? [];
  const parameters = (about.parameters ?? []).map((parameter) => resolve(api, parameter));
  const taken = parameters.map(({ name, in: place, required, schema, description }) =>
    line(name, required, `in the ${place}, ${kind(api, schema)}`, description));
  const answers = Object.entries(about.responses ?? {});
  const heads = table(headers(api, answers));
  return [
    ...(about.description ? [prose("p", about.description)] : []),
    ...(role ? [element("p", `Needs a key with the scope “${role}”, if keys are needed.`)] : []),
    ...table(taken),
    ...(about.security ? [curl(method, path, about)] : []),
    ...(about.requestBody ? [element("h3", "Body"), ...body(api, about.requestBody.content)] : []),
    element("h3", "Answers"), ...answers.flatMap(([status, answer]) => drawAnswer(api, status, answer)),
    ...(heads.length ? [element("h3", "Headers of the answers"), ...heads] : []),
  ];
}

function drawAnswer(api, status, answer) {
  const found = problems(answer);
  const told = element("p", "", element("strong", `${status} `), found.length ? "" : answer.description);
  if (found.length) return [told, element("ul", "", ...found)];
  return [told, ...body(api, answer.content ?? {})];
}

/** Each header once, with the answers that can have it. */
function headers(api, answers) {
  const names = new Set(answers.flatMap(([, answer]) => Object.keys(answer.headers ?? {})));
  return [...names].map((name) => {
    const having = answers.filter(([, answer]) => answer.headers?.[name]);
    const { schema, description } = resolve(api, having[0][1].headers[name]);
    const where = having.length === answers.length ? "every answer" : having.map(([status]) => status).join(", ");
    return line(name, false, `${kind(api, schema)}, in ${where}`, description);
  });
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
