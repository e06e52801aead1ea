"""Asking Flower what its pages ask it."""

import httpx

ALL_TASKS = {
    "draw": "1",
    "start": "0",
    "length": "1000",
    "order[0][column]": "0",
    "columns[0][data]": "name",
    "order[0][dir]": "asc",
    "search[value]": "",
}


def tasks(client: httpx.Client) -> list[dict[str, object]]:
    """The rows of its page of tasks."""
    rows: list[dict[str, object]] = client.get("/tasks/datatable", params=ALL_TASKS).json()["data"]
    return rows


def everything(client: httpx.Client) -> dict[str, bytes]:
    """Every page and every answer of its API, by path."""
    paths = ["/", "/workers", "/workers?json=1", "/tasks", "/broker", "/metrics", "/about"]
    paths += ["/api/tasks", "/api/task/types", "/api/workers?refresh=1", "/api/queues/length"]
    paths += [f"/worker/{name}" for name in client.get("/api/workers").json()]
    for task in tasks(client):
        paths += [f"/task/{task['uuid']}", f"/api/task/info/{task['uuid']}"]
    pages = {path: client.get(path).content for path in paths}
    pages["/tasks/datatable"] = client.get("/tasks/datatable", params=ALL_TASKS).content
    return pages
