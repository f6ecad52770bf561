"""The package of uvicorn.workers where there is no uvicorn. Nothing else of it is here."""
