import sys; sys.argv=sys.argv[:1]
from p12lib import *
import random
random.seed(3)
small="routes/test_fourth_team.py"
for n in range(5):
    for name,cmd in (("pytest2",[PY,"-m","pytest","-q","-n","2","tests/e2e/process/test_lone_restart.py","tests/e2e/redis/test_unsound_redis.py"]),
                     ("run-tests",[PY,"scripts/run-tests","--binary",BIN,"--","-n","2","-k","fourth_team or lone_restart"]),
                     ("chaos",[PY,"tests/chaos/run","--seconds","60","--binary",BIN])):
        run(name,cmd,random.choice(["term","group-term","group-int","hup"]),round(random.uniform(.3,5),2),wait_for=())
