// One request to the API of this server, relative to the page, so that it works behind a proxy under a prefix. The answer is {status, body}; the key, if the server asks for one, stays in this tab.
export const key = {
  get: () => sessionStorage.getItem("minutehand.key") ?? "",
  set: (value) => sessionStorage.setItem("minutehand.key", value),
};

export async function ask(method, path, body) {
  const headers = { accept: "application/json" };
  if (key.get()) headers["x-api-key"] = key.get();
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(path.slice(1), { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  let parsed = text;
  try {
    parsed = JSON.parse(text);
  } catch {
    // a text such as that of /metrics
  }
  return { status: answer.status, body: parsed };
}

export function problem(answer) {
  const detail = answer.body?.detail ?? answer.body;
  return typeof detail === "string" ? detail.trim() : JSON.stringify(detail);
}

// An element with text; no text of the data ever becomes markup.
export function made(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute.startsWith("on")) element.addEventListener(attribute.slice(2), value);
    else if (value === true) element.setAttribute(attribute, "");
    else if (value !== false && value !== null) element.setAttribute(attribute, value);
  }
  element.append(...children);
  return element;
}
