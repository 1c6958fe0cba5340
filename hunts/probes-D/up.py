from lib import *
from support.application import Application, _Handler
from support.stack import Stack
from support.clients import *
import json, http.server, urllib.parse
