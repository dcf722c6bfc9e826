// Colours: GraphQL and JSON as spans, made of text nodes only.
const GRAPHQL = /(#[^\n]*)|("""[\s\S]*?"""|"(?:\\.|[^"\\\n])*")|(\$\w+)|(-?\b\d+(?:\.\d+)?\b)|\b(query|mutation|fragment|on|true|false|null)\b|\b([A-Z]\w*)\b|(\w+)(?=\s*:)/g;
const GRAPHQL_INK = ["note", "text", "name", "number", "word", "type", "name"];
const JSON_PARTS = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b)|\b(true|false|null)\b/g;

const span = (ink, text) => Object.assign(document.createElement("span"), { className: `i-${ink}`, textContent: text });

function inked(text, pattern, inkOf) {
  const made = document.createDocumentFragment();
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const [ink, part] = inkOf(match);
    if (!ink) continue;
    made.append(text.slice(end, match.index), span(ink, part));
    end = match.index + part.length;
  }
  made.append(text.slice(end));
  return made;
}

export const graphql = (text) =>
  inked(text, GRAPHQL, (match) => {
    const group = match.slice(1).findIndex((part) => part !== undefined);
    return [GRAPHQL_INK[group], match[0]];
  });

export const json = (text) =>
  inked(text, JSON_PARTS, (match) => {
    if (match[1] !== undefined) return [match[2] === undefined ? "text" : match[1] === '"errors"' ? "alarm" : "name", match[1]];
    return [match[3] !== undefined ? "number" : "word", match[0]];
  });
