// The graph as introspection tells it, and what fits where.
export const INTROSPECTION = `query Introspection {
  __schema {
    queryType { name } mutationType { name }
    types {
      kind name description
      fields { name description args { ...Input } type { ...Type } }
      inputFields { ...Input }
      enumValues { name description }
      possibleTypes { name }
    }
  }
}
fragment Input on __InputValue { name description defaultValue type { ...Type } }
fragment Type on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`;

export const written = (type) =>
  type.kind === "NON_NULL" ? `${written(type.ofType)}!` : type.kind === "LIST" ? `[${written(type.ofType)}]` : type.name;
export const core = (type) => (type.ofType ? core(type.ofType) : type.name);

export class Graph {
  constructor(schema) {
    this.types = new Map(schema.types.map((type) => [type.name, type]));
    this.query = schema.queryType.name;
    this.mutation = schema.mutationType?.name;
  }

  fieldOf(typeName, name) {
    return this.types.get(typeName)?.fields?.find((field) => field.name === name);
  }

  // Where the cursor stands: inside which type's selection, or among the arguments of which field.
  placeIn(text) {
    const tokens = text.replace(/#[^\n]*/g, "").match(/"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"?|\$?\w+|\.\.\.|[{}()[\]:!@=]/g) ?? [];
    const open = [];
    let operation = this.query, last = "", beforeLast = "", condition = "";
    for (const token of tokens) {
      const top = open.at(-1);
      if (token === "{") {
        if (top?.kind === "arguments" || top?.kind === "input") {
          const given = top.kind === "arguments" ? top.field?.args : this.types.get(top.type)?.inputFields;
          const named = given?.find((one) => one.name === top.name);
          open.push({ kind: "input", type: named ? core(named.type) : "" });
        } else if (!open.length) open.push({ kind: "selection", type: condition || operation });
        else if (condition) open.push({ kind: "selection", type: condition });
        else open.push({ kind: "selection", type: top.field ? core(top.field.type) : "" });
        condition = "";
      } else if (token === "}") open.pop();
      else if (token === "(") open.push({ kind: open.length ? "arguments" : "variables", field: top?.field });
      else if (token === ")") open.pop();
      else if (token === ":") { if (top) top.name = last; }
      else if (/^\w+$/.test(token)) {
        if (!open.length && (token === "query" || token === "mutation")) operation = token === "query" ? this.query : this.mutation;
        else if (last === "on" && (beforeLast === "..." || !open.length)) condition = token;
        else if (top?.kind === "selection" && token !== "on") top.field = this.fieldOf(top.type, token);
      }
      [beforeLast, last] = [last, token];
    }
    return open.at(-1) ?? null;
  }

  // Names that fit at the end of `text`, with their types.
  offers(text) {
    const begun = /[\w$]*$/.exec(text)[0];
    const place = this.placeIn(text.slice(0, text.length - begun.length));
    const fits = (list) => (list ?? []).filter((one) => one.name.toLowerCase().startsWith(begun.toLowerCase()));
    if (!place) return { begun, list: fits([{ name: "query" }, { name: "mutation" }, { name: "fragment" }]) };
    if (place.kind === "selection") return { begun, list: fits([...(this.types.get(place.type)?.fields ?? []), { name: "__typename" }]) };
    const inputs = place.kind === "arguments" ? place.field?.args : this.types.get(place.type)?.inputFields;
    const named = /(\w+)\s*:\s*\[?\s*$/.exec(text.slice(0, text.length - begun.length));
    const wanted = named && inputs?.find((one) => one.name === named[1]);
    if (wanted) return { begun, list: fits(this.types.get(core(wanted.type))?.enumValues ?? (core(wanted.type) === "Boolean" ? [{ name: "true" }, { name: "false" }] : [])) };
    return { begun, list: fits(inputs) };
  }
}

// The query with one field a line, two spaces for each level.
export function tidied(text) {
  const tokens = text.match(/#[^\n]*|"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|\.\.\.|[{}()[\]:!=@|&,]|[^\s{}()[\]:!=@|&,"#]+/g) ?? [];
  let out = "", level = 0, inside = 0, spread = false;
  const line = () => `\n${"  ".repeat(level)}`;
  for (const [place, token] of tokens.entries()) {
    const last = tokens[place - 1] ?? "", next = tokens[place + 1] ?? "";
    if (token === "," && !inside) continue;
    if (token === "{" && !inside) { level += 1; out += `${out && !out.endsWith(" ") ? " " : ""}{${line()}`; spread = false; continue; }
    if (token === "}" && !inside) { level -= 1; out = `${out.trimEnd()}${line()}}${level ? line() : next ? "\n\n" : "\n"}`; continue; }
    if (token === "(" || token === "[" || (token === "{" && inside)) { inside += 1; out += (token === "{" && !/[[({ ]$/.test(out) ? " " : "") + token; continue; }
    if (token === ")" || token === "]" || token === "}") { inside -= 1; out = out.trimEnd() + token; if (!inside && level && !["{", "@", ":"].includes(next)) out += line(); continue; }
    if (token.startsWith("#")) { out += `${token}${line()}`; continue; }
    if ([":", ",", "="].includes(token)) { out = `${out.trimEnd()}${token === "=" ? " =" : token} `; continue; }
    if (token === "!") { out = out.trimEnd() + token; continue; }
    if (token === "...") { out += token; spread = true; continue; }
    const glued = /[\s([{@.]$/.test(out) || !out;
    if (inside || !level) { out += `${glued ? "" : " "}${token}`; continue; }
    if (spread) { out += token === "on" ? " on " : token; if (token !== "on") spread = false; if (!spread && next !== "{" && next !== "@") out += line(); continue; }
    out += `${glued || last === ":" ? "" : " "}${token}`;
    if (!["(", "{", ":", "@"].includes(next)) out += line();
  }
  return out.replace(/[ \t]+\n/g, "\n").replace(/\n{3,}/g, "\n\n").trim() + "\n";
}
