"""A FastAPI app that submits a job for each upload, and hears of its end by a webhook.

TIERLINE_URL=… TIERLINE_API_KEY=… TIERLINE_WEBHOOK_SECRET=… uvicorn fastapi_app:app
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

from tierline_client import AsyncTierline, BadSignature, JobEvent

INVOICES: dict[str, dict[str, object]] = {}  # in the place of your database


class Upload(BaseModel):
    id: str
    text: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncTierline(app="invoices/1.0") as client:
        app.state.tierline = client
        yield


app = FastAPI(lifespan=lifespan)


def tierline(request: Request) -> AsyncTierline:
    client: AsyncTierline = request.app.state.tierline
    return client


Client = Annotated[AsyncTierline, Depends(tierline)]


@app.post("/invoices", status_code=202)
async def upload(body: Upload, client: Client) -> dict[str, str]:
    # The same upload gives the same job, however often it is sent.
    job = await client.jobs.submit(
        "invoice-fields",
        {"text": body.text},
        metadata={"invoice": body.id},
        idempotency_key=f"invoice-{body.id}",
    )
    return {"job": job.id, "status": job.status}


@app.post("/hooks/tierline", status_code=204)
async def hook(request: Request, client: Client) -> None:
    try:
        event = client.webhooks.verify(dict(request.headers), await request.body())
    except BadSignature as error:
        raise HTTPException(400, error.message) from None
    if isinstance(event, JobEvent) and event.type == "job.completed":
        # An event may come twice: writing the same answer again changes nothing.
        job = await client.jobs.get(event.data.id)
        INVOICES[(event.data.metadata or {})["invoice"]] = job.output


@app.get("/invoices/{invoice_id}")
async def read(invoice_id: str) -> dict[str, object]:
    if invoice_id not in INVOICES:
        raise HTTPException(404, "not there yet")
    return INVOICES[invoice_id]
