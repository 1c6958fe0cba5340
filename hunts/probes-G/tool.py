import sys,time,signal
sys.path[:0]=["scripts","tests"]
if sys.argv[1]=="new":
    from tailgate_stack import ending
    ending.end_on_signals()
print("runs",flush=True); time.sleep(8); print("finished",flush=True)
