// The explorer: sign in, ask the graph, read what it is made of. Plain DOM, nothing from elsewhere.
import { Graph, INTROSPECTION, core, tidied, written } from "./graph.js";
import * as ink from "./ink.js";
import { EXAMPLES, WORDS } from "./words.js";

const $ = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...inside) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside.filter((one) => one !== null && one !== undefined));
  return made;
};
const kept = {
  get: (key) => { try { return localStorage.getItem(`fanfare.${key}`); } catch { return null; } },
  set: (key, value) => { try { localStorage.setItem(`fanfare.${key}`, value); } catch { /* private windows keep nothing */ } },
};

let language = kept.get("language") ?? (navigator.language.startsWith("fr") ? "fr" : "en");
let graph = null;
const trail = [];
const say = (word, filled = {}) => Object.entries(filled).reduce((text, [key, value]) => text.replace(`{${key}}`, value), WORDS[language][word] ?? word);

// Asking

async function ask(query, variables = {}) {
  const reply = await fetch("/graphql", {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "Accept-Language": language },
    body: JSON.stringify({ query, variables }),
  });
  return reply.text();
}

async function run() {
  const button = $("run");
  if (button.disabled) return;
  let variables;
  try {
    variables = JSON.parse($("variables").value.trim() || "{}");
  } catch (error) {
    show(JSON.stringify({ errors: [{ message: say("badVariables", { why: error.message }) }] }, null, 2));
    $("variables").focus();
    return;
  }
  button.disabled = true;
  $("measure").textContent = say("running");
  const began = performance.now();
  try {
    const text = await ask($("query").value, variables);
    const ms = Math.round(performance.now() - began);
    $("measure").textContent = say("measure", { ms, kb: (text.length / 1000).toFixed(1) });
    let answer = JSON.parse(text);
    show(JSON.stringify(answer, null, 2));
    if (answer.errors?.some((error) => error.extensions?.code === "sign-in-first")) await whoIsThere();
  } catch {
    $("measure").textContent = "";
    show(JSON.stringify({ errors: [{ message: say("failed") }] }, null, 2));
  } finally {
    button.disabled = false;
  }
}

function show(text) {
  $("answer").replaceChildren(ink.json(text));
  $("answer").scrollTop = 0;
}

// Signing in and out

async function whoIsThere() {
  let who = null;
  try {
    who = JSON.parse(await ask("{ viewer { actor operator { email name } agency { name } } }")).data?.viewer ?? null;
  } catch { /* shown as signed out */ }
  $("door").hidden = Boolean(who);
  $("desk").hidden = !who;
  $("sign-out").hidden = !who;
  $("who").hidden = !who;
  if (!who) {
    $("email").focus();
    return;
  }
  $("who").textContent = `${who.operator?.name || who.operator?.email || who.actor} · ${who.agency.name}`;
  if (!graph) await readGraph();
  $("query").focus();
}

async function signIn(event) {
  event.preventDefault();
  const problem = $("sign-in-problem"), button = event.submitter ?? event.target.querySelector("button");
  problem.hidden = true;
  button.disabled = true;
  button.textContent = say("signingIn");
  let told;
  try {
    const answer = JSON.parse(await ask(
      "mutation SignIn($input: SignInInput!) { signIn(input: $input) { expiresAt errors { message } } }",
      { input: { email: $("email").value, password: $("password").value } },
    ));
    told = answer.errors?.[0]?.message ?? answer.data.signIn.errors[0]?.message;
  } catch {
    told = say("failed");
  }
  button.disabled = false;
  button.textContent = say("signIn");
  if (told) {
    problem.textContent = told;
    problem.hidden = false;
    $("password").select();
    return;
  }
  $("password").value = "";
  await whoIsThere();
}

async function signOut() {
  await ask("mutation { signOut { signedOut } }");
  show("");
  await whoIsThere();
}

// Editing

function paint(area, coloured) {
  const behind = $(`${area.id}-ink`);
  behind.replaceChildren(coloured(`${area.value}\n`));
  behind.scrollTop = area.scrollTop;
}

function set(area, text, from = area.selectionStart, to = area.selectionEnd) {
  area.focus();
  area.setSelectionRange(from, to);
  // execCommand keeps the browser's own undo; where it is gone, the value is set plainly.
  if (!document.execCommand?.("insertText", false, text)) area.setRangeText(text, from, to, "end");
  area.dispatchEvent(new Event("input"));
}

function onKey(event) {
  const area = event.target;
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    event.preventDefault();
    run();
    return;
  }
  if (area.id !== "query") return;
  if (offering(event)) return;
  if (event.ctrlKey && event.code === "Space") {
    event.preventDefault();
    offer();
  } else if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    const before = area.value.slice(0, area.selectionStart), after = area.value.slice(area.selectionEnd);
    const indent = /(?:^|\n)([ \t]*)[^\n]*$/.exec(before)[1];
    const opens = /[{([]\s*$/.test(before), closes = /^\s*[})\]]/.test(after);
    set(area, `\n${indent}${opens ? "  " : ""}${opens && closes ? `\n${indent}` : ""}`);
    if (opens && closes) {
      const back = area.selectionStart - indent.length - 1;
      area.setSelectionRange(back, back);
    }
  } else if (event.key === "{" && area.selectionStart === area.selectionEnd) {
    event.preventDefault();
    set(area, "{}");
    area.setSelectionRange(area.selectionStart - 1, area.selectionStart - 1);
  }
}

// Completing

let offered = [], chosen = 0, begun = "";

function offer() {
  if (!graph) return;
  const area = $("query");
  const found = graph.offers(area.value.slice(0, area.selectionStart));
  offered = found.list.slice(0, 40);
  begun = found.begun;
  chosen = 0;
  if (!offered.length) return close();
  place(area);
  draw();
}

function place(area) {
  const mirror = $("query-ink"), mark = document.createElement("span");
  const copy = mirror.cloneNode(false);
  copy.removeAttribute("id");
  copy.style.visibility = "hidden";
  copy.append(area.value.slice(0, area.selectionStart), mark);
  mirror.parentNode.append(copy);
  const list = $("offers");
  const left = Math.min(mark.offsetLeft, Math.max(8, area.clientWidth - 300));
  list.style.left = `${left}px`;
  list.style.top = `${mark.offsetTop - area.scrollTop + 24}px`;
  copy.remove();
}

function draw() {
  const list = $("offers");
  list.replaceChildren(...offered.map((one, place) => {
    const item = make("li", { id: `offer-${place}` }, one.name, make("span", { textContent: one.type ? written(one.type) : "" }));
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", String(place === chosen));
    item.addEventListener("mousedown", (event) => { event.preventDefault(); chosen = place; take(); });
    return item;
  }));
  list.hidden = false;
  $("query").setAttribute("aria-expanded", "true");
  $("query").setAttribute("aria-activedescendant", `offer-${chosen}`);
  list.children[chosen].scrollIntoView({ block: "nearest" });
}

function close() {
  $("offers").hidden = true;
  $("query").setAttribute("aria-expanded", "false");
  $("query").removeAttribute("aria-activedescendant");
}

function take() {
  const area = $("query"), one = offered[chosen];
  close();
  set(area, one.name, area.selectionStart - begun.length, area.selectionEnd);
}

function offering(event) {
  if ($("offers").hidden) return false;
  const moves = { ArrowDown: 1, ArrowUp: -1 };
  if (event.key in moves) {
    chosen = (chosen + moves[event.key] + offered.length) % offered.length;
    draw();
  } else if (event.key === "Enter" || event.key === "Tab") take();
  else if (event.key === "Escape") close();
  else return false;
  event.preventDefault();
  return true;
}

// Documentation

async function readGraph() {
  const answer = JSON.parse(await ask(INTROSPECTION));
  graph = new Graph(answer.data.__schema);
  document_();
}

function link(name, text = name) {
  if (["String", "ID", "Int", "Float", "Boolean"].includes(name)) return make("span", { className: "i-type", textContent: text });
  return make("button", { type: "button", className: "link", textContent: text, onclick: () => open(name) });
}

function typeText(type) {
  const text = written(type), name = core(type), at = text.indexOf(name);
  return make("span", {}, text.slice(0, at), link(name), text.slice(at + name.length));
}

function said(text) {
  if (!text) return null;
  const told = make("p");
  for (const part of text.split(/(`[^`]*`)/)) told.append(part.startsWith("`") ? make("code", { textContent: part.slice(1, -1) }) : part);
  return told;
}

function fieldItem(field, args = field.args) {
  const item = make("li", {}, make("code", {}, make("span", { className: "field", textContent: field.name }), ": ", field.type ? typeText(field.type) : ""));
  item.append(...[said(field.description)].filter(Boolean));
  if (args?.length) {
    item.append(make("ul", { className: "arguments" }, ...args.map((one) =>
      make("li", {}, make("code", {}, `${one.name}: `, typeText(one.type), one.defaultValue ? ` = ${one.defaultValue}` : ""), said(one.description)))));
  }
  return item;
}

function open(name) {
  trail.push(name);
  $("docs-search").value = "";
  document_();
  $("docs").scrollTop = 0;
  $("docs").focus({ preventScroll: true });
}

function document_() {
  if (!graph) return;
  const wanted = $("docs-search").value.trim().toLowerCase();
  const name = trail.at(-1);
  $("docs-back").hidden = !trail.length && !wanted;
  $("docs").replaceChildren(...(wanted ? searched(wanted) : name ? typePage(graph.types.get(name)) : start()));
}

function start() {
  const fields = (name) => make("ul", {}, ...graph.types.get(name).fields.map((field) => fieldItem(field)));
  return [make("h3", { textContent: say("reads") }), fields(graph.query), make("h3", { textContent: say("does") }), fields(graph.mutation)];
}

function typePage(type) {
  const parts = [make("h3", { textContent: type.name }), said(type.description)];
  const list = type.fields ?? type.inputFields;
  if (list?.length) parts.push(make("ul", {}, ...list.map((field) => fieldItem(field))));
  if (type.enumValues?.length) parts.push(make("p", { textContent: say("values") }), make("ul", {}, ...type.enumValues.map((one) => make("li", {}, make("code", { textContent: one.name }), said(one.description)))));
  if (type.kind === "INTERFACE") parts.push(make("p", { textContent: say("implementedBy") }), make("ul", {}, ...type.possibleTypes.map((one) => make("li", {}, link(one.name)))));
  return parts.filter(Boolean);
}

function searched(wanted) {
  const found = [];
  for (const type of graph.types.values()) {
    if (type.name.startsWith("__")) continue;
    if (type.name.toLowerCase().includes(wanted)) found.push([type.name.toLowerCase() === wanted ? 0 : 1, make("li", {}, link(type.name), said(type.description))]);
    if (/(Connection|Edge|Payload)$/.test(type.name)) continue;
    for (const field of type.fields ?? type.inputFields ?? []) {
      if (field.name.toLowerCase().includes(wanted)) {
        found.push([field.name.toLowerCase() === wanted ? 2 : 3, make("li", {}, make("code", {}, link(type.name), ".", make("span", { className: "field", textContent: field.name }), ": ", typeText(field.type)), said(field.description))]);
      }
    }
  }
  found.sort((one, other) => one[0] - other[0]);
  return found.length ? [make("ul", {}, ...found.slice(0, 80).map((one) => one[1]))] : [make("p", { textContent: say("none") })];
}

// The page

function speak(chosenLanguage = language) {
  language = chosenLanguage;
  kept.set("language", language);
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of document.querySelectorAll("[data-say-label]")) one.setAttribute("aria-label", say(one.dataset.sayLabel));
  for (const one of document.querySelectorAll("[data-say-hint]")) one.placeholder = say(one.dataset.sayHint);
  for (const one of document.querySelectorAll("[data-language]")) one.setAttribute("aria-pressed", String(one.dataset.language === language));
  $("examples").replaceChildren(
    make("option", { value: "", textContent: say("examples") }),
    ...EXAMPLES.map((one, place) => make("option", { value: String(place), textContent: one[language] })),
  );
  if (!$("answer").querySelector("span:not(.nothing)")) $("answer").replaceChildren(make("span", { className: "nothing", textContent: say("nothing") }));
  document_();
}

function begin() {
  const query = $("query"), variables = $("variables");
  query.value = kept.get("query") ?? `${EXAMPLES[0].query}\n`;
  variables.value = kept.get("variables") ?? "";
  for (const [area, coloured] of [[query, ink.graphql], [variables, ink.json]]) {
    const repaint = () => { paint(area, coloured); kept.set(area.id, area.value); };
    area.addEventListener("input", repaint);
    area.addEventListener("scroll", () => { $(`${area.id}-ink`).scrollTop = area.scrollTop; });
    area.addEventListener("keydown", onKey);
    repaint();
  }
  query.addEventListener("input", () => { if (!$("offers").hidden) offer(); });
  query.addEventListener("blur", close);
  $("run").addEventListener("click", run);
  $("tidy").addEventListener("click", () => set(query, tidied(query.value), 0, query.value.length));
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard?.writeText($("answer").textContent);
    $("measure").textContent = say("copied");
  });
  $("examples").addEventListener("change", (event) => {
    const example = EXAMPLES[event.target.value];
    event.target.value = "";
    if (!example) return;
    set(variables, example.variables ? JSON.stringify(example.variables, null, 2) : "", 0, variables.value.length);
    set(query, `${example.query}\n`, 0, query.value.length);
    query.setSelectionRange(0, 0);
  });
  $("sign-in").addEventListener("submit", signIn);
  $("sign-out").addEventListener("click", signOut);
  $("docs-search").addEventListener("input", document_);
  $("docs-back").addEventListener("click", () => {
    if ($("docs-search").value) $("docs-search").value = "";
    else trail.pop();
    document_();
    $("docs").focus();
  });
  for (const one of document.querySelectorAll("[data-language]")) one.addEventListener("click", () => speak(one.dataset.language));
  speak();
  whoIsThere();
}

begin();
