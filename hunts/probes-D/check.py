from lib import *
import subprocess, tempfile
base=open('/tmp/w/keys2/tests/unit/config/config_cases.h').read().split('R"(')[1].split(')"')[0]
f='/tmp/w/hunt-D/base.toml'; open(f,'w').write(base)
def check(*sets):
    a=['/tmp/w/keys2/build/release/tailgate','--check','--config',f]
    for s in sets: a+=['--set',s]
    r=subprocess.run(a,capture_output=True,text=True,env={'PATH':'/usr/bin'})
    return r.returncode,(r.stdout+r.stderr).strip()
if __name__=='__main__':
    O='route.events.path=/orgs/{org}/jobs/{id}/stream'
    cases=[
     (),
     ('route.events.key=job:{{id}}:events',),('route.events.key=job:{id:events',),('route.events.key=job:{Id}:events',),('route.events.key=job:${id}:events',),
     ('route.events.key=job:%s:events',),('route.events.key=job::id:events',),('route.events.key=job:<id>:events',),('route.events.key=job:$id:events',),
     ('route.events.key={bull}:job:{id}',),('route.events.key={}:job:{id}',),('route.events.key=job:{job_id}:events',),
     ('route.events.path=/jobs/:id/stream',),('route.events.path=/jobs/<id>/stream',),('route.events.path=/jobs/${id}/stream',),('route.events.path=/jobs/*/stream',),('route.events.path=/jobs/{id}.json',),('route.events.path=/jobs/{{id}}/stream',),('route.events.path=/jobs/{Id}/stream',),('route.events.path=/jobs/{job-id}/stream',),('route.events.path=/jobs/{id}/{id}',),('route.events.path=/a/{b}/{c}/{id}',),
     ('route.events.path=/jobs/{job_id}/stream',),('route.events.path=/jobs/{job_id}/stream','route.events.key=job:{job_id}'),
     ('route.events.path=/jobs/{job_id}/stream','route.events.key=job:{job_id}','record.job.key=job:{job_id}'),
     ('route.events.path=/jobs/{id}/tabs/{tab}/stream',),
     (O,),(O,'route.events.key={org}-{id}'),(O,'route.events.key={org}:{id}','route.events.id_chars=:'),(O,'route.events.key={id}:{org}','route.events.id_chars=:'),
     (O,'route.events.key={org}:{id}','record.job.key=job:{id}'),(O,'route.events.key=job:{id}','record.job.key={org}:{id}'),
     ('record.job.key=job:{{id}}',),('record.job.key=job:{id}:{org}',),('record.job.key=job',),('record.job.key=',),
     ('record.asked.path=/status/{{id}}','route.events.record=asked'),('record.asked.path=/statüs/{id}','route.events.record=asked'),('record.asked.path=/status/{id}?a="b"','route.events.record=asked'),('record.asked.path=/status?x={id}','route.events.record=asked'),('record.asked.path=/status/%zz/{id}','route.events.record=asked'),('record.asked.path=status/{id}','route.events.record=asked'),("record.asked.path=/status/{id}\\n",'route.events.record=asked'),
     ('route.events.id_chars=a-z',),('route.events.id_chars=[:@]',),('route.events.id_chars=\\d',),('route.events.id_chars=::',),('route.events.id_chars=.-_',),('route.events.id_chars=:@','route.lines.id_chars=@:'),
     ('route.events.id=int','route.events.id_chars=:'),('route.events.id=uuid',),('route.events.id=guid',),('route.events.id=INT',),('route.named.id=int',),
     ('route.lines.path=/jobs/{id}/stream','route.events.id_chars=:'),('route.lines.path=/jobs/{job}/stream','route.lines.key=l:{job}'),
     ("route.events.hello=[{comment='{id}'}]",),("route.events.hello=[{comment='${{id}}'}]",),("route.events.hello=[{comment='${org}'}]",),("route.events.hello=[{comment='$${id}'}]",),("route.events.hello=[{data='{\"a\":{\"id\":${id}}}'}]",),("route.events.hello=[{data='{\"a\":{id}}'}]",),("route.events.hello=[{text='{{id}} ${id}'}]",),
     ("route.events.path=/x/{status}/{id}",'route.events.key={status}:{id}'),
     ("route.pages.path=/x/{route}",'route.pages.key={route}'),
     ('route.events.key=__keyspace@0__:{id}',),('route.events.key=__keyevent@0__:{id}',),('route.events.key=__redis__:invalidate',),('route.events.key={id}',),('route.events.key=__{{keyspace}}:{id}',),
    ]
    for c in cases:
        print(c); rc,out=check(*c); print('   ',rc,out.replace('\n','\n       '))
