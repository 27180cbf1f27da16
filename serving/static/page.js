import { ask, key, made, problem } from "./api.js";

const $ = (id) => document.getElementById(id);
const K = 10;
const columns = [...document.querySelectorAll(".columns section")].map((section, n) => ({
  n,
  dials: section.querySelector(".dials"),
  list: section.querySelector("ol"),
  ranks: null, // rank by item id of the list shown before
  recommendation: null,
  request: 0,
}));
let scenarios = [{ name: "default", needs_item: false }];
let lastItem = null; // the item pressed last, which scenarios such as product-page need
let shownFor = "";

async function call(method, path, body) {
  const answer = await ask(method, path, body).catch(() => ({ status: 0, body: "the server does not answer; is minutehand serve running?" }));
  const isLocked = answer.status === 401 || answer.status === 403;
  if (isLocked) {
    $("key").hidden = false;
    $("secret").focus();
  }
  if (answer.status < 200 || answer.status >= 300) {
    $("message").textContent = isLocked ? `${lock(answer)} Make one: minutehand keys add read events` : problem(answer);
    return null;
  }
  return answer.body;
}

function lock(answer) {
  if (answer.status === 403) return "The key may not do this: lists need a key that may read, and pressing an item one that may send events.";
  return key.get() ? "This server does not know the key: paste another one above." : "This server shows lists to those with a key only: paste one above.";
}

function asked() {
  return { user: $("user").value.trim(), text: $("text").value.trim() };
}

function dialsOf(column) {
  const scenario = made("select", { id: `scenario-${column.n}` }, ...scenarios.map(({ name }) => made("option", { value: name }, name)));
  if (column.n === 1 && scenarios.length > 1) scenario.value = scenarios[1].name;
  const own = made("output", { for: `variety-${column.n}` }, "as the scenario says");
  const variety = made("input", { id: `variety-${column.n}`, type: "range", min: "-0.1", max: "1", step: "0.1", value: "-0.1" });
  if (column.n === 1 && scenarios.length === 1) variety.value = "0.5";
  const say = () => (own.textContent = variety.value < 0 ? "as the scenario says" : variety.value);
  say();
  variety.addEventListener("input", say);
  for (const input of [scenario, variety]) input.addEventListener("change", () => show(column));
  column.dials.replaceChildren(
    made("p", {}, made("label", { for: scenario.id }, "Scenario"), scenario),
    made("p", {}, made("label", { for: variety.id }, "Variety: ", own), variety),
  );
  column.choice = () => ({ scenario: scenario.value, variety: variety.value < 0 ? undefined : Number(variety.value) });
}

async function show(column) {
  const { user, text } = asked();
  const { scenario, variety } = column.choice();
  const needsItem = scenarios.find(({ name }) => name === scenario)?.needs_item;
  if (needsItem && lastItem === null) {
    column.list.replaceChildren(made("li", { class: "empty" }, `The scenario ${scenario} needs an item: press one in the other list.`));
    return;
  }
  const number = ++column.request;
  const body = { k: K, scenario, explain: true };
  if (user) body.user_id = user;
  if (text) body.text = text;
  if (variety !== undefined) body.variety = variety;
  if (needsItem) body.items = [lastItem];
  const answer = await call("POST", "/v1/recommend", body);
  if (answer === null || number !== column.request) return; // a newer request of this column is on its way
  draw(column, answer);
}

function draw(column, answer) {
  const before = column.ranks;
  column.recommendation = answer.recommendation_id;
  column.ranks = new Map(answer.items.map((item, n) => [item.item_id, n + 1]));
  const focused = document.activeElement?.dataset?.item;
  const hadFocus = column.list.contains(document.activeElement);
  column.list.replaceChildren(...answer.items.map((item, n) => row(column, item, n + 1, before)));
  if (!answer.items.length) column.list.replaceChildren(made("li", { class: "empty" }, "No item qualifies."));
  if (hadFocus) {
    const buttons = [...column.list.querySelectorAll("button")];
    (buttons.find((button) => button.dataset.item === focused) ?? buttons[0])?.focus();
  }
}

function row(column, item, rank, before) {
  const old = before?.get(item.item_id);
  const move = before === null || old === rank ? "" : old === undefined ? "new" : old > rank ? `▲ ${old - rank}` : `▼ ${rank - old}`;
  return made(
    "li",
    {},
    made(
      "button",
      { type: "button", "data-item": item.item_id, onclick: () => press(column, item, rank) },
      made("span", { class: "rank" }, String(rank)),
      made("span", { class: "title" }, item.title || item.item_id),
      made("span", { class: "move" }, move),
      made("span", { class: "reason" }, item.reason ?? item.source ?? ""),
    ),
  );
}

async function press(column, item, rank) {
  const user = $("user").value.trim();
  if (!user) {
    $("message").textContent = "Type the name of a user first: an event needs somebody who did it. Any name will do.";
    $("user").focus();
    return;
  }
  const type = document.querySelector("input[name=type]:checked").value;
  const event = { user_id: user, item_id: item.item_id, event_type: type, recommendation_id: column.recommendation, position: rank };
  await post(event, `${type} on “${item.title || item.item_id}”`, item.item_id);
}

async function post(event, what, itemId) {
  $("message").textContent = "";
  const started = performance.now();
  const taken = await call("POST", "/v1/events", [{ ...event, event_id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` }]);
  if (taken === null) return;
  if (taken.rejected.length) {
    $("message").textContent = taken.rejected[0].reason;
    return;
  }
  if (itemId !== undefined) lastItem = itemId;
  await Promise.all([...columns.map(show), interests()]);
  $("done").textContent = `${what}: stored, and in both lists after ${Math.round(performance.now() - started)} ms`;
  fresh();
}

async function interests() {
  const { user } = asked();
  const box = $("interests");
  if (!user) {
    box.replaceChildren(made("p", { class: "empty" }, "Choose a user."));
    return;
  }
  const answer = await ask("GET", `/v1/users/${encodeURIComponent(user)}/interests`).catch(() => null);
  if (answer === null || answer.status !== 200 || !answer.body.interests?.length) {
    box.replaceChildren(made("p", { class: "empty" }, "Nothing is known yet."));
    return;
  }
  const parts = [];
  for (const [horizon, name] of [["short", "Now"], ["long", "In the long term"]]) {
    const rows = answer.body.interests.filter((each) => each.horizon === horizon).slice(0, 6);
    if (!rows.length) continue;
    parts.push(made("h3", {}, name));
    for (const each of rows) {
      const share = each.probability;
      const label = each.dimension === "topic" ? each.name : `${each.dimension}: ${each.name}`;
      parts.push(
        made("div", { class: "interest" }, made("span", {}, label), made("span", {}, `${(100 * share).toFixed(1)} %`), made("meter", { value: share, max: 1, "aria-label": label })),
      );
    }
  }
  box.replaceChildren(...parts);
}

async function fresh() {
  const ready = await ask("GET", "/health/ready").catch(() => null);
  if (ready === null || ready.status !== 200) {
    $("fresh").textContent = "The server does not answer.";
    return;
  }
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(ready.body.published_at)) / 1000));
  const age = seconds < 120 ? `${seconds} seconds` : seconds < 7200 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3600)} hours`;
  const newer = ready.body.pending_events;
  const events = newer === 0 ? "" : newer === 1 ? "; 1 newer event is in the lists already" : `; ${newer} newer events are in the lists already`;
  $("fresh").textContent = `Model version ${ready.body.model_version}, published ${age} ago${events}`;
}

async function users() {
  const answer = await ask("GET", `/v1/users?prefix=${encodeURIComponent($("user").value.trim())}`).catch(() => null);
  if (answer?.status === 200) $("users").replaceChildren(...answer.body.users.map((user) => made("option", { value: user })));
}

async function submit() {
  $("message").textContent = $("done").textContent = "";
  const { user, text } = asked();
  const now = JSON.stringify([user, text]);
  if (now !== shownFor) for (const column of columns) column.ranks = null;
  shownFor = now;
  await Promise.all([...columns.map(show), interests()]);
}

async function begin() {
  const answer = await ask("GET", "/v1/scenarios").catch(() => null);
  if (answer?.status === 200 && answer.body.scenarios.length) scenarios = answer.body.scenarios;
  columns.forEach(dialsOf);
  await Promise.all([users(), submit(), fresh()]);
}

$("ask").addEventListener("submit", (event) => (event.preventDefault(), submit()));
$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  key.set($("secret").value.trim());
  $("key").hidden = true;
  $("message").textContent = "";
  begin();
});
let typing = 0;
$("user").addEventListener("input", () => (clearTimeout(typing), (typing = setTimeout(users, 200))));
setInterval(fresh, 5000);
begin();
