// A program with OpenAI's client for Node: `node node_client.mjs FEATURE`, with OPENAI_BASE_URL and
// OPENAI_API_KEY, in a folder where `openai` is installed. It prints the client's version.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import OpenAI, { BadRequestError, NotFoundError, toFile } from "openai";
import { VERSION } from "openai/version";

const model = process.argv[2];
const client = new OpenAI({ maxRetries: 0 });
const answered = { text: "hi" };

async function ended(read, statuses) {
  const until = Date.now() + 60_000;
  for (;;) {
    const one = await read();
    if (statuses.includes(one.status)) return one;
    assert.ok(Date.now() < until, JSON.stringify(one));
    await pause(20);
  }
}

const names = [];
for await (const one of client.models.list()) names.push(one.id);
assert.ok(names.includes(model), names.join());
assert.equal((await client.models.retrieve(model)).object, "model");
await assert.rejects(client.models.retrieve("nothing"), NotFoundError);

const response = await client.responses.create({ model, input: "hi" });
assert.deepEqual(JSON.parse(response.output_text), answered);
assert.equal(response.metadata["tierline.tier"], "slm");
const { request_id, response: raw } = await client.responses
  .create({ model, input: "hi" }, { idempotencyKey: "node-1" })
  .withResponse();
assert.ok(request_id);
assert.equal(raw.headers.get("tierline-status"), "completed");

const types = [];
let id;
for await (const event of await client.responses.create({ model, input: "hi", stream: true })) {
  types.push(event.type);
  if (event.type === "response.created") id = event.response.id;
}
assert.equal(types[0], "response.created");
assert.equal(types.at(-1), "response.completed");
const again = await client.responses.retrieve(id, { stream: true, starting_after: 1 });
let rest = "";
for await (const event of again) {
  if (event.type === "response.output_text.delta") rest += event.delta;
}
assert.deepEqual(JSON.parse(rest), answered);
const final = await client.responses.stream({ model, input: "hi" }).finalResponse();
assert.deepEqual(JSON.parse(final.output[0].content[0].text), answered);

const begun = await client.responses.create({ model, input: "hi", background: true });
assert.ok(["queued", "in_progress", "completed"].includes(begun.status));
const done = await ended(() => client.responses.retrieve(begun.id), ["completed"]);
assert.deepEqual(JSON.parse(done.output_text), answered);
assert.equal((await client.responses.cancel(begun.id)).status, "completed");
const items = await client.responses.inputItems.list(begun.id);
assert.equal(items.data[0].content[0].text, "hi");
await client.responses.delete(begun.id);
await assert.rejects(client.responses.retrieve(begun.id), NotFoundError);

const messages = [{ role: "user", content: "hi" }];
const completion = await client.chat.completions.create({ model, messages });
assert.deepEqual(JSON.parse(completion.choices[0].message.content), answered);
let text = "";
let usage;
const chunks = await client.chat.completions.create({
  ...{ model, messages, stream: true, stream_options: { include_usage: true } },
});
for await (const chunk of chunks) {
  text += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.deepEqual(JSON.parse(text), answered);
assert.equal(usage.total_tokens, 15);
const helped = client.chat.completions.stream({ model, messages });
assert.deepEqual(JSON.parse(await helped.finalContent()), answered);

const body = { model, input: "hi" };
const line = { custom_id: "a", method: "POST", url: "/v1/responses", body };
const upload = await toFile(Buffer.from(`${JSON.stringify(line)}\n`), "in.jsonl");
const file = await client.files.create({ file: upload, purpose: "batch" });
const files = [];
for await (const one of client.files.list({ purpose: "batch" })) files.push(one.id);
assert.ok(files.includes(file.id));
const batch = await client.batches.create({
  ...{ input_file_id: file.id, endpoint: "/v1/responses", completion_window: "24h" },
});
const complete = await ended(() => client.batches.retrieve(batch.id), ["completed"]);
const output = await (await client.files.content(complete.output_file_id)).text();
assert.equal(JSON.parse(output).custom_id, "a");
const batches = [];
for await (const one of client.batches.list()) batches.push(one.id);
assert.ok(batches.includes(batch.id));
assert.equal((await client.files.delete(file.id)).deleted, true);

await assert.rejects(
  client.responses.create({ model, input: "hi", temperature: 0.5 }),
  (error) => error instanceof BadRequestError && error.param === "temperature",
);

const sent = process.env.WEBHOOK_BODY;
const headers = JSON.parse(process.env.WEBHOOK_HEADERS);
const event = await client.webhooks.unwrap(sent, headers, process.env.WEBHOOK_SECRET);
assert.equal(event.type, "response.completed");
assert.match(event.data.id, /^resp_/);
await assert.rejects(client.webhooks.unwrap(`${sent} `, headers, process.env.WEBHOOK_SECRET));
console.log(VERSION);
