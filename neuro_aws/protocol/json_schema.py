"""The JSON Schema of protocols: for editors, and published in the package."""

import json
from pathlib import Path

from neuro_aws.protocol.schema import ProtocolSpec

PUBLISHED = Path(__file__).with_name("protocol.schema.json")


def text() -> str:
    """Return the schema as text; the published file holds the same."""
    schema = ProtocolSpec.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "neuro-aws protocol"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
