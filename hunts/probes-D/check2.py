from check import check
O='route.events.path=/orgs/{org}/jobs/{id}/stream'
for c in [
 ('record.job.key=job:{{job_id}}',),
 ('route.events.path=/jobs/{job_id}/stream','route.events.key=job:{{job_id}}'),
 ('record.job.key=job:${id}',),('record.asked.path=/status/${id}',),
 ('route.events.path=/jobs/{id}/of/{org}','route.events.key={org}:{id}'),
 ('route.events.path=/jobs/{id}/of/{org}','route.events.key=job:{id}'),
 (O,'route.events.key=job:{id}','route.events.record=asked','record.asked.path=/x/{org}/{id}'),
 (O,'route.events.key={org}:{id}','route.events.id=int'),
 (O,'route.events.key={org}-{id}','route.events.id=int'),
 (O,'route.events.key={id}-{org}','route.events.id=int'),
 (O,'route.events.key={id}-{org}','route.events.id=uuid'),
 (O,'route.events.key={org}.{id}'),(O,'route.events.key={org}_{id}'),
 (O,'route.events.key={org}~{id}'),
 (O,'route.events.key={org}:{id}','record.job.key={org}/{id}','route.lines.record=asked'),
 ('route.events.path=/ORGS/{id}',),('route.events.path=/{id}',),
 ('route.events.path=/a//{id}',),('route.events.path=/a/{id}/',),('route.events.path=a/{id}',),
 ('route.events.path=/a/{ id }',),('route.events.path=/a/{id:int}',),('route.events.path=/a/{id}?x=1',),('route.events.path=/a/(?<id>x)',),('route.events.path=/a/[id]',),
 ('route.events.key=job:{id}:{{x}',),('route.events.key=job:{id}}:x',),('route.events.key=job:{{{id}}:x',),('route.events.key=job:{{{{id}}}}:x',),('route.events.key=job:{ID}',),
 ('route.events.id=int','route.lines.id=int','route.lines.path=/jobs/{id}/stream'),
 ("route.events.hello=[{comment='$'+'{'}]",),("route.events.hello=[{comment='a ${ b'}]",),("route.events.hello=[{comment='${}'}]",),("route.events.hello=[{comment='${ID}'}]",),("route.events.hello=[{comment='${job_id}'}]",),
 ("route.events.error_body={\"detail\":${message},\"id\":${id}}",),
 ('route.events.id_chars=',),('route.events.id_chars=: @',),('route.events.id_chars=é',),
 ('record.asked.path=/status/{id}#x',),('record.asked.path=/status /{id}',),('record.asked.path=/{{id}}/{id}',),
 ('record.job.fields.org.as=text',O,'route.events.key={org}:{id}'),
]:
    rc,out=check(*c); print(c,'\n   ',rc,out.replace('\n','\n       '))
