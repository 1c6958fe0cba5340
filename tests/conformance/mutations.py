"""The list of mutations, and what they have in common."""

# Each mutation adds one fault to a draft.  Its decorator has the verdict for a token with this fault alone.
MUTATIONS = []
ANY = "401"  # the prefix of all refusals


def mutation(word):
    def register(function):
        MUTATIONS.append((function.__name__, word, function))
        return function

    return register


class Unfit(Exception):
    """The fault cannot be added to this token."""


def need(condition):
    if not condition:
        raise Unfit


def is_public(draft):
    return not draft.provider.secrets
