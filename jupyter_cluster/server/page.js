// The page of a cluster: sections of HTML come over the stream, `show` of morph.js keeps them up to
// date. The browser makes the connection again where it is lost.

const sections = new Map(
  [...document.querySelectorAll("[data-section]")].map((place) => [place.dataset.section, place]),
);
const source = new EventSource("follow");
source.addEventListener("message", ({ data }) => {
  document.body.classList.remove("jc-away");
  for (const [name, html] of Object.entries(JSON.parse(data))) show(sections.get(name), html);
});
source.addEventListener("end", () => source.close());
source.addEventListener("error", () => document.body.classList.add("jc-away"));
followPointer(document.querySelector("main"));
