from check import check
n='a'*41
for c in [('route.events.path=/jobs/{%s}/stream'%n,),('route.events.path=/jobs/{%s}/stream'%n[:40],'route.events.key=j:{%s}'%n[:40],'record.job.key=job:{%s}'%n[:40],'route.lines.path=/jobs/{%s}/lines'%n[:40],'route.lines.key=j:{%s}'%n[:40]),('route.events.key=j:{%s}'%n,),
 ('record.job.fields.id.as=text',),('record.job.fields.org.as=text','route.pages.path=/o/{org}/p/{id}','route.pages.key={org}:{id}'),
 ('record.job.fields.org.as=text','route.lines.source=pages','route.lines.path=/o/{org}/p/{id}','route.lines.key={org}:{id}','route.lines.ending=[]'),
 ('route.events.id_chars=@:','route.lines.path=/jobs/{id}/stream','route.lines.id_chars=:@'),
 ("record.asked.path=/status/{id}\u00e9",),("record.asked.path=/status/{id}\t",),('record.asked.path=/status/"{id}"',),('record.asked.path=/status/<{id}>',),('record.asked.path=/status\\{id}',),('record.asked.path=/status/%{id}',),('record.asked.path=/status/%2{id}',),('record.asked.path=/a/../{id}',),('record.asked.path=//evil/{id}',),('record.asked.path=/a?{id}',),
]:
    rc,out=check(*c); print(c,'\n   ',rc,out.replace('\n','\n       '))
