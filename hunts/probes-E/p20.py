from h import *
import subprocess, re
sys.path.insert(0, W+"/tests/e2e/nginx")
import test_doctor as T
L,l=site("L")
l.use(); sound=l.whole_configuration(); l.restore()
def doctor(dump=None):
    r=subprocess.run(["/tmp/w/hunt-E/fixdoc/render","--doctor","-"],input=l.whole_configuration() if dump is None else dump,capture_output=True,text=True)
    assert "Traceback" not in r.stderr, r.stderr
    return r.returncode, r.stdout+r.stderr
l.doctor=doctor
for name in dir(T):
    f=getattr(T,name)
    if not name.startswith("test_"): continue
    marks=[m for m in getattr(f,"pytestmark",[]) if m.name=="parametrize"]
    cases=[()] if not marks else marks[0].args[1]
    names=[] if not marks else [x.strip() for x in marks[0].args[0].split(",")]
    for c in cases:
        kw=dict(zip(names,c))
        import inspect
        for a in inspect.signature(f).parameters:
            if a=="site": kw[a]=l
            if a=="sound": kw[a]=sound
            if a=="tmp_path": kw[a]=Path("/tmp/w/hunt-E")
        try: f(**kw)
        except BaseException as e: print("FAIL",name,c,repr(e)[:300])
print("done")
