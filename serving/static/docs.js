import { ask, key, made, problem } from "./api.js";

const $ = (id) => document.getElementById(id);
let schema = {};

const found = (part) => (part?.$ref ? part.$ref.slice(2).split("/").reduce((at, name) => at[name], schema) : (part ?? {}));

function typeOf(part, depth = 0) {
  if (part?.$ref) return part.$ref.split("/").at(-1);
  const some = part?.anyOf ?? part?.oneOf;
  if (some) return some.map((each) => typeOf(each, depth + 1)).join(" or ");
  if (part?.enum) return part.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (part?.type === "array") return `array of ${typeOf(part.items, depth + 1)}`;
  return part?.type ?? "anything";
}

function limits(part) {
  const names = { minimum: "at least", maximum: "at most", exclusiveMinimum: "above", maxLength: "at most characters", maxItems: "at most entries" };
  const said = Object.entries(names).filter(([name]) => part[name] !== undefined).map(([name, word]) => `${word} ${part[name]}`);
  if (part.default !== undefined && part.default !== null) said.push(`default ${JSON.stringify(part.default)}`);
  return said.join(", ");
}

function fields(part) {
  const resolved = found(part);
  if (resolved.type === "array") return fields(resolved.items);
  const rows = Object.entries(resolved.properties ?? {}).map(([name, field]) =>
    made("tr", {}, made("td", {}, made("code", {}, name), (resolved.required ?? []).includes(name) ? " *" : ""), made("td", {}, typeOf(field)),
      made("td", {}, [field.description, limits(field)].filter(Boolean).join("; "))));
  if (!rows.length) return null;
  return made("table", {}, made("thead", {}, made("tr", {}, ...["field", "type", ""].map((name) => made("th", { scope: "col" }, name)))), made("tbody", {}, ...rows));
}

function exampleOf(part, depth = 0) {
  const resolved = found(part);
  if (resolved.examples?.length) return resolved.examples[0];
  if (resolved.example !== undefined) return resolved.example;
  if (resolved.default !== undefined && resolved.default !== null) return resolved.default;
  const some = (resolved.anyOf ?? resolved.oneOf)?.find((each) => each.type !== "null");
  if (some) return exampleOf(some, depth);
  if (resolved.type === "array") return depth > 3 ? [] : [exampleOf(resolved.items, depth + 1)];
  if (resolved.properties) {
    const names = resolved.required?.length ? resolved.required : Object.keys(resolved.properties);
    return Object.fromEntries(names.map((name) => [name, exampleOf(resolved.properties[name], depth + 1)]));
  }
  return { string: "", integer: 0, number: 0, boolean: true }[resolved.type] ?? null;
}

function operation(path, method, about) {
  const id = `${method}-${path}`.replace(/\W+/g, "-");
  const parameters = (about.parameters ?? []).map(found);
  const inputs = parameters.map((each) => [each, made("input", { id: `${id}-${each.name}`, value: each.schema?.default ?? "", autocomplete: "off" })]);
  const content = about.requestBody?.content?.["application/json"];
  const body = content && made("textarea", { id: `${id}-body`, rows: "6", spellcheck: "false" });
  if (body) body.value = JSON.stringify(content.example ?? exampleOf(content.schema), null, 2);
  const out = made("pre", { role: "status", hidden: true });
  const form = made("form", { onsubmit: (event) => send(event, path, method, inputs, body, out) },
    ...inputs.map(([each, input]) => made("p", {}, made("label", { for: input.id }, `${each.name}${each.required ? " *" : ""} (${typeOf(each.schema)})`), input)),
    ...(body ? [made("p", { class: "wide" }, made("label", { for: body.id }, "Body"), body)] : []),
    made("p", {}, made("button", { type: "submit" }, "Send")));
  const answers = Object.entries(about.responses ?? {}).map(([status, answer]) => {
    const table = fields(answer.content?.["application/json"]?.schema);
    return made("div", {}, made("h3", {}, `Answer ${status}: ${answer.description ?? ""}`), ...(table ? [table] : []));
  });
  const taken = content ? fields(content.schema) : null;
  return made("details", { class: "operation" },
    made("summary", {}, made("span", { class: "verb" }, method.toUpperCase()), " ", made("code", {}, path), ` ${(about.description ?? about.summary ?? "").split("\n")[0]}`),
    made("div", {}, made("p", {}, about.description ?? ""), ...(taken ? [made("h3", {}, "Body"), taken] : []), form, out, ...answers));
}

async function send(event, path, method, inputs, body, out) {
  event.preventDefault();
  let url = path;
  const query = new URLSearchParams();
  for (const [each, input] of inputs) {
    if (each.in === "path") url = url.replace(`{${each.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.set(each.name, input.value);
  }
  if ([...query].length) url += `?${query}`;
  let given;
  try {
    given = body ? JSON.parse(body.value) : undefined;
  } catch (error) {
    out.hidden = false;
    out.textContent = `The body is not JSON: ${error.message}`;
    return;
  }
  const started = performance.now();
  const answer = await ask(method.toUpperCase(), url, given).catch(() => ({ status: 0, body: "the server does not answer" }));
  const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body, null, 2);
  out.hidden = false;
  out.textContent = `${answer.status} after ${Math.round(performance.now() - started)} ms\n\n${text}`;
}

async function begin() {
  const answer = await ask("GET", "/openapi.json").catch(() => ({ status: 0, body: "the server does not answer" }));
  if (answer.status !== 200) {
    $("message").textContent = problem(answer);
    return;
  }
  schema = answer.body;
  const operations = Object.entries(schema.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, about]) => operation(path, method, about)));
  $("operations").replaceChildren(...operations);
}

$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  key.set($("secret").value.trim());
  $("message").textContent = "";
  begin();
});
begin();
