"""Strawberry: GraphQL, with subscriptions over a WebSocket."""

import asyncio
from typing import AsyncGenerator

import strawberry
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "World") -> str:
        return "Hello, %s!" % name


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, target: int = 3) -> AsyncGenerator[int, None]:
        for n in range(target):
            yield n
            await asyncio.sleep(0.01)


app = FastAPI()
app.include_router(GraphQLRouter(strawberry.Schema(Query, subscription=Subscription)), prefix="/graphql")
