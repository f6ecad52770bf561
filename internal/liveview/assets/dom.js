// Elements are made here, and text is put into them as text: no markup is ever parsed.

const svgNamespace = 'http://www.w3.org/2000/svg';

// el makes an element with attributes and children; a child that is no node is text.
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

// svg is el for drawings.
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(svgNamespace, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

// setText changes a text only if it is another one: what has not changed is not announced.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// keyed makes the children of a list those of items, and keeps the ones that are there: what
// is open stays open, and what has the focus keeps it. make makes a child, update changes it.
export function keyed(list, items, keyOf, make, update = () => {}) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, i) => {
    const key = String(keyOf(item));
    let child = old.get(key);
    old.delete(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (list.children[i] !== child) list.insertBefore(child, list.children[i] ?? null);
  });
  for (const child of old.values()) child.remove();
}
