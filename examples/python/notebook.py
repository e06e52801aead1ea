# %% [markdown]
# Invoices of a folder, as typed rows. Run the cells one by one, or `python notebook.py`.

# %%
from pydantic import BaseModel

from tierline_client import Tierline


class Invoice(BaseModel):
    invoice_number: str
    total: float
    currency: str


client = Tierline()  # TIERLINE_URL and TIERLINE_API_KEY

# %% One, to see what it looks like
job = client.jobs.submit_and_wait(
    "invoice-fields", {"text": "Invoice A-17, 12.50 EUR"}, output_type=Invoice
)
print(job.result(), job.tier, job.cost_usd)

# %% Many. After an error run the cell again: no row runs twice.
texts = [f"Invoice A-{number}, {number}.00 EUR" for number in range(1, 21)]
rows = [{"input": {"text": text}, "custom_id": str(place)} for place, text in enumerate(texts)]
results = list(
    client.batches.run(
        "invoice-fields",
        rows,
        key="notebook-1",
        output_type=Invoice,
        progress=lambda at: print(f"{at.done} of {at.sent}", end="\r"),
    )
)

# %% What came out
total = sum(row.output.total for row in results if row.output is not None)
print(f"{len(results)} rows, {total:.2f} EUR, cost {sum(row.cost_usd for row in results)} USD")
for row in results:
    if row.error is not None:
        print(row.custom_id, row.error.message)
