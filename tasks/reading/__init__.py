"""Questions of people to the lake: lists, similar items, interests, the graph, the status, and any read-only SQL."""

from tasks.reading.asking import one_line
from tasks.reading.files import write_text
from tasks.reading.home_status import age, freshness_by_hour, status, text_warning
from tasks.reading.lists import NO_INTERESTS, AllLists, UserList, all_lists, demand_known, interests_of, lists_of, similar
from tasks.reading.nodes import find_node, neighbourhood, surroundings
from tasks.reading.past import list_at
from tasks.reading.queries import Answer, export, query

__all__ = [
    "NO_INTERESTS",
    "AllLists",
    "Answer",
    "UserList",
    "age",
    "all_lists",
    "demand_known",
    "export",
    "find_node",
    "freshness_by_hour",
    "interests_of",
    "list_at",
    "lists_of",
    "neighbourhood",
    "one_line",
    "query",
    "similar",
    "status",
    "surroundings",
    "text_warning",
    "write_text",
]
