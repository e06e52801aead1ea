"""The routes, by the concerns of services/. A file a subject, each with an APIRouter, `router`."""
