"""A program with OpenAI's client, for a version of it that is not in the tests' own environment.

`python older_client.py FEATURE`, with OPENAI_BASE_URL and OPENAI_API_KEY. It prints the version.
"""

import json
import sys
import time

import openai

feature = sys.argv[1]
client = openai.OpenAI(max_retries=0)
assert feature in [model.id for model in client.models.list()]

response = client.responses.create(model=feature, input="hi")
assert json.loads(response.output_text) == {"text": "hi"}, response
events = [one.type for one in client.responses.create(model=feature, input="hi", stream=True)]
assert events[-1] == "response.completed", events

messages = [{"role": "user", "content": "hi"}]
completion = client.chat.completions.create(model=feature, messages=messages)
assert json.loads(completion.choices[0].message.content) == {"text": "hi"}, completion
chunks = client.chat.completions.create(model=feature, messages=messages, stream=True)
text = "".join(one.choices[0].delta.content or "" for one in chunks)
assert json.loads(text) == {"text": "hi"}, text

body = {"model": feature, "input": "hi"}
line = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}
file = client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
batch = client.batches.create(
    input_file_id=file.id, endpoint="/v1/responses", completion_window="24h"
)
until = time.monotonic() + 60
while batch.status != "completed":
    assert time.monotonic() < until, batch
    time.sleep(0.05)
    batch = client.batches.retrieve(batch.id)
assert json.loads(client.files.content(batch.output_file_id).text)["custom_id"] == "a"
try:
    client.responses.create(model=feature, input="hi", temperature=0.5)
except openai.BadRequestError as error:
    param = error.param
else:
    param = None
assert param == "temperature", param
print(openai.__version__)
