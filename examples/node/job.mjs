// @ts-check
// Submits a job and follows its events, with nothing but Node's fetch (Node 18 or newer):
//     TIERLINE_URL=… TIERLINE_API_KEY=… node job.mjs "Invoice A-17, 12.50 EUR"
// Its types are those of the OpenAPI document. An editor and `tsc` check them once they are written:
//     npx openapi-typescript $TIERLINE_URL/openapi.json --default-non-nullable=false -o tierline.d.ts
import { randomUUID } from "node:crypto";

/** @typedef {import("./tierline.js").components["schemas"]} Schemas */

const { TIERLINE_URL: url, TIERLINE_API_KEY: key } = process.env;

/** @param {Response} response @returns {AsyncGenerator<Schemas["StreamedEvent"]>} */
async function* events(response) {
  let text = "";
  if (!response.body) throw new Error("no body");
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts) {
      const data = part.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice(6));
    }
  }
}

/** @type {Schemas["NewJob"]} */
const job = { feature: "invoice-fields", input: { text: process.argv[2] } };
const response = await fetch(`${url}/v1/jobs`, {
  method: "POST",
  headers: {
    Authorization: `Bearer ${key}`,
    "Content-Type": "application/json",
    Accept: "text/event-stream",
    "Idempotency-Key": randomUUID(), // send the same one when you repeat the request
  },
  body: JSON.stringify(job),
});
if (!response.ok) throw new Error((await response.json()).detail);
for await (const { type, data } of events(response)) {
  console.log(type, data.tier, data.status_label ?? "");
  if (data.job) console.log(JSON.stringify(data.job.output));
}
