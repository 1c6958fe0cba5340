import sys, os, json, urllib.parse
sys.dont_write_bytecode=True
sys.path.insert(0,'/tmp/w/keys2/tests')
os.environ['TAILGATE_BINARY']='/tmp/w/keys2/build/release/tailgate'
sys.path.insert(0,'/tmp/w/keys2/scripts')
