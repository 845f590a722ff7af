"use strict";
// Under each picture a choice in place of the proposal; what is chosen can be saved as a file of corrections.

const { columns, proposals, rows, classes, file } = JSON.parse(document.getElementById("rows").textContent);
const [PATH, , PROPOSAL, VALUE] = columns.keys();
const figures = [...document.querySelectorAll("figure[data-row]")];
const tally = make("span");

function make(name, properties = {}, children = []) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function addChoice(figure) {
  const row = rows[figure.dataset.row];
  const offered = figure.querySelector("img") ? ["keep", "drop", "relabel"] : ["keep", "drop"];
  const options = [...new Set([row[PROPOSAL], ...offered])].map((value) =>
    make("option", { value, textContent: value || "stays" }));
  const choice = make("select", { title: "what to do with this picture" }, options);
  const value = make("input", { value: row[VALUE], required: true });
  value.setAttribute("list", "classes");
  const take = () => {
    const relabel = choice.value === "relabel";
    row[PROPOSAL] = choice.value;
    row[VALUE] = value.value;
    if (relabel) // a picture has one class, whichever fault it is relabelled for
      for (const other of rows)
        if (other[PATH] === row[PATH] && other[PROPOSAL] === "relabel") other[VALUE] = row[VALUE];
    value.hidden = value.disabled = !relabel && choice.value !== "regroup";
    value.setCustomValidity(relabel && !classes.includes(value.value) ? "This is none of the classes." : "");
  };
  const others = figures.filter((one) => one !== figure && one.dataset.row === figure.dataset.row);
  choice.onchange = value.oninput = () => { take(); others.forEach(addChoice); show(); };
  figure.querySelector(".proposal").replaceChildren(choice, value);
  take();
}

function show() {
  const dropped = new Set(rows.filter((row) => row[PROPOSAL] === "drop").map((row) => row[PATH]));
  for (const figure of figures) figure.classList.toggle("dropped", dropped.has(rows[figure.dataset.row][PATH]));
  const count = (proposal) => rows.filter((row) => row[PROPOSAL] === proposal).length;
  tally.textContent = proposals.filter(count).map((proposal) => `${proposal} ${count(proposal)}`).join(" · ");
}

function csv() {
  const inert = (text) => (/^'*[=+@-]/.test(text) ? `'${text}` : text); // for no spreadsheet a formula
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const line = (row) => row.map((text) => cell(inert(text))).join(",") + "\n";
  return "\ufeff" + [columns, ...rows.filter((row) => row[PROPOSAL])].map(line).join("");
}

function save() {
  for (const input of document.querySelectorAll("input:enabled")) if (!input.reportValidity()) return;
  const address = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  make("a", { download: file, href: address }).click();
  URL.revokeObjectURL(address);
}

figures.forEach(addChoice);
show();
document.body.append(
  make("datalist", { id: "classes" }, classes.map((value) => make("option", { value }))),
  make("footer", {}, [tally, make("button", { type: "button", textContent: `Save ${file}`, onclick: save })]),
);
