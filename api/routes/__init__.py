"""The routes, a file a subject; each has an APIRouter named `router`."""
